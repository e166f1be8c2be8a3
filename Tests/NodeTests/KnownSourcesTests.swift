import Primitives
import Testing
import Wire

@testable import Node

@Suite struct KnownSourcesTests {
  private let first = PeerAddress(text: "10.0.0.1:7447")!
  private let second = PeerAddress(text: "10.0.0.2:7447")!

  @Test func aMemberIsKnownWhereItAnsweredLast() throws {
    var sources = KnownSources()
    let member = try nodeID(1)
    #expect(sources.set(first, of: member) == .init(learned: first))
    #expect(sources.set(first, of: member) == .init())
    #expect(sources.set(second, of: member) == .init(forgotten: [first], learned: second))
    #expect(sources[member] == second)
    #expect(sources.set(nil, of: member) == .init(forgotten: [second]))
    #expect(sources.set(nil, of: member) == .init())
    #expect(sources[member] == nil)
  }

  @Test func whoNamesTheAddressOfAnotherDoesNotTakeItAway() throws {
    var sources = KnownSources()
    let (owner, other) = (try nodeID(1), try nodeID(2))
    _ = sources.set(first, of: owner)
    #expect(sources.set(first, of: other) == .init())
    #expect(sources.set(second, of: other) == .init(learned: second))
    #expect(sources.set(nil, of: owner) == .init(forgotten: [first]))
  }

  @Test func onlyThoseOfMembersAreKept() throws {
    var sources = KnownSources()
    let ids = try (1...3).map { try nodeID(UInt8($0)) }
    _ = sources.set(first, of: ids[0])
    _ = sources.set(first, of: ids[1])
    _ = sources.set(second, of: ids[2])
    #expect(sources.keep(Set(ids)) == .init())
    #expect(sources.keep([ids[1]]) == .init(forgotten: [second]))
    #expect(sources.keep([]) == .init(forgotten: [first]))
  }
}
