import Broadcast
import Testing

@Suite struct SettingsTests {
  @Test func degreesFit() {
    let settings = BroadcastSettings()
    #expect(settings.degree <= settings.fullMeshLinks)
  }
}
