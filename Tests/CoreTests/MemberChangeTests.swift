import Membership
import Primitives
import Testing

@Suite struct MemberChangeTests {
  /// Whoever reads of a member's fall reads who brought it about.
  @Test func aChangeNamesTheStateBeforeAndTheAccusers() throws {
    var cluster = try Cluster(4)
    cluster.start()
    let lost = cluster.id(3)
    #expect(cluster.run(for: .seconds(20)) { $0.members[0].core.membership.member(lost) != nil })
    cluster.stop(3)
    let isDown = cluster.run(for: .seconds(120)) { $0.members[0].core.membership.member(lost)?.state == .down }
    #expect(isDown)
    let changes = cluster.members[0].changes.filter { $0.member == lost }
    #expect(changes.first.map { $0.from == nil && $0.to == .alive && $0.accusers.isEmpty } == true)
    for (earlier, later) in zip(changes, changes.dropFirst()) { #expect(later.from == earlier.to) }
    let last = try #require(changes.last)
    #expect(last.from == .suspect && last.to == .down)
    #expect(
      !last.accusers.isEmpty && last.accusers.allSatisfy { cluster.members.prefix(3).map(\.signer.id).contains($0) })
    #expect(changes.filter { $0.to == .suspect }.allSatisfy { !$0.accusers.isEmpty })
  }

  @Test func theCoreKnowsWhoDialled() throws {
    var cluster = try Cluster(3)
    cluster.start()
    for number in 0..<3 {
      let peers = cluster.members[number].core.broadcast.peers
      let dialled = peers.filter(\.isOutbound).map(\.id).sorted()
      #expect(peers.count == 2 && dialled == (number + 1..<3).map { cluster.id($0) }.sorted())
    }
  }
}
