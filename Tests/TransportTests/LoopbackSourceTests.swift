import NIOPosix
import Sodium
import Testing
import Wire

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct LoopbackSourceTests {
  private func endpoint(_ address: PeerAddress, _ log: EventLog) async throws -> LinkEndpoint {
    let endpoint = try LinkEndpoint(
      identity: try SigningKey.generate(), networkID: testNetwork, configuration: .patient,
      group: MultiThreadedEventLoopGroup.singleton, logger: quiet
    ) { log.add($0) }
    try await endpoint.start(listen: [address])
    return endpoint
  }

  @Test func aLinkComesFromWhereItsNodeListens() async throws {
    let (dialler, answerer) = (EventLog(), EventLog())
    let one = try await endpoint(try #require(PeerAddress(text: "127.0.0.2:0")), dialler)
    let two = try await endpoint(try #require(PeerAddress(text: "127.0.0.3:0")), answerer)
    one.dial(two.listening[0], expecting: nil)
    await eventually { !answerer.ups.isEmpty }
    #expect(two.links.map(\.address.ip) == [[127, 0, 0, 2]])
    await one.shutdown()
    await two.shutdown()
  }
}
