import Primitives
import Sodium
import Testing
import Wire

@testable import Transport

/// Who gives way when more connect than can do their handshakes at once.
@Suite(.timeLimit(.minutes(1))) struct HandshakePlacesTests {
  private typealias Places = HandshakePlaces<Int>

  /// Places taken in this order, by prefixes of one byte.
  private static func places(_ prefixes: [UInt8], maximum: Int, ofPrefix: Int = .max) -> Places {
    var places = Places(maximum: maximum, maximumOfPrefix: ofPrefix)
    for (id, prefix) in prefixes.enumerated() { places.insert(id, from: [prefix]) }
    return places
  }

  private static func room(
    _ places: Places, _ prefix: UInt8, chance: Int = 0, isSilent: (Int) -> Bool
  ) -> Places.Room {
    places.room(for: [prefix], isSilent: isSilent) { chance % $0 }
  }

  @Test func thereIsRoomUntilAllPlacesOrThoseOfAPrefixAreTaken() {
    var places = Self.places([1, 1, 2], maximum: 4, ofPrefix: 2)
    #expect(Self.room(places, 1) { _ in true } == .full)
    #expect(Self.room(places, 2) { _ in true } == .free)
    places.insert(3, from: [3])
    #expect(Self.room(places, 2) { _ in false } == .full)
    places.remove(0)
    #expect(Self.room(places, 1) { _ in true } == .free)
  }

  @Test func theOldestSilentOneOfThePrefixThatHasMostGivesWay() {
    let places = Self.places([2, 1, 1, 2, 1, 3], maximum: 6)
    #expect(Self.room(places, 4) { _ in true } == .of(1))
    #expect(Self.room(places, 4) { $0 > 2 } == .of(4))
    #expect(Self.room(places, 4) { [0, 5].contains($0) } == .of(1))
    // A prefix with one gets a second, and one with two a third only in place of one that is silent.
    #expect(Self.room(places, 3) { _ in false } == .of(1))
    #expect(Self.room(places, 2) { _ in true } == .of(1))
    #expect(Self.room(places, 2) { _ in false } == .full)
    #expect(Self.room(places, 1) { _ in true } == .full)
  }

  @Test func whereAllHaveOneEachANewPrefixTakesThatOfWhoIsSilentOrOneByChance() {
    let places = Self.places([1, 2, 3], maximum: 3)
    #expect(Self.room(places, 4) { _ in false } == .of(0))
    #expect(Self.room(places, 4, chance: 2) { _ in false } == .of(2))
    #expect(Self.room(places, 4, chance: 2) { $0 == 1 } == .of(1))
    #expect(Self.room(places, 3, chance: 2) { _ in false } == .full)
    #expect(Self.room(places, 4) { $0 == 1 } == .of(1))
    #expect(Self.room(places, 3) { _ in true } == .full)
  }

  @Test func aFewSilentPrefixesKeepNobodyOut() async throws {
    let node = try await TestNode { $0.maximumHandshakes = 6 }
    // One is in the middle of its handshake, and older than the others.
    let begun = RawPeer(connectingTo: node.address, from: 0x7f01_0101)
    var handshake = try begun.shake(.initiator, key: .generate(), before: 3)
    let silent = (0..<5).map { RawPeer(connectingTo: node.address, from: 0x7f01_0102 + UInt32($0 % 2) << 8) }
    let others = [try await TestNode(), try await TestNode()]
    for other in others { await other.link(to: node) }
    // The first took a place of the prefix that has most, and left it when it had its link.
    await eventually { node.endpoint.counters.count("tooManyHandshakes") == 1 }
    #expect(silent[0].read() == nil)
    try begun.finish(&handshake)
    await eventually { node.endpoint.links.count == 3 }
    for raw in silent.dropFirst() { try raw.shake(.initiator, key: .generate()) }
    await eventually { node.endpoint.links.count == 7 }
    for endpoint in [node] + others { await endpoint.endpoint.shutdown() }
  }
}
