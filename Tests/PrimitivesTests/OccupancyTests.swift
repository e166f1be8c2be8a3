import Primitives
import Testing

@Suite struct OccupancyTests {
  @Test func itsLimitIsTheMostThatItMayHold() {
    #expect(!Occupancy(name: "places", count: 0, limit: 0).isExceeded)
    #expect(!Occupancy(name: "places", count: 7, limit: 7).isExceeded)
    #expect(Occupancy(name: "places", count: 8, limit: 7).isExceeded)
  }

  @Test func aPartPutsItsNameBeforeIt() {
    let places = Occupancy(name: "places", count: 3, limit: 7)
    #expect(places.of("hall") == Occupancy(name: "hall.places", count: 3, limit: 7))
    #expect(places.of("hall").of("house").name == "house.hall.places")
  }
}
