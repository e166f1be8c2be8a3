import Consensus
import Ledger
import Primitives
import Testing
import Wire

@testable import Core

/// Peers that send as fast as they can: nothing grows beyond its bound, nothing is lost that honest nodes need.
@Suite struct FloodTests {
  private static func expectBounds(_ core: NodeCore) {
    for place in core.occupancy { #expect(!place.isExceeded, "\(place)") }
    // Those of each machine are among them.
    for part in ["membership.", "broadcast.", "consensus."] {
      #expect(core.occupancy.contains { $0.name.hasPrefix(part) && $0.count > 0 }, "\(part)")
    }
  }

  private static func id(_ number: Int) -> NodeID { NodeID(Digest(hashing: Array("\(number)".utf8)).value) }

  @Test func requestsAndUnaskedAnswersFillNothing() throws {
    var cluster = try Cluster(3, validators: 2, parameters: Cluster.parameters()) { $0.snapshotDistance = 8 }
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(0) >= 2 })
    let peer = cluster.id(2)
    let link = try #require(cluster.members[0].links.last)
    let snapshot = try #require(cluster.members[0].snapshots[link.header.height])
    let messages: [ConsensusMessage] = [
      .epochRequest(fromEpoch: .max), .snapshotRequest(height: 8, covering: .zero), .epochs([]), .epochs([link]),
      .snapshot(snapshot.chunk(covering: .zero)), .chainRequest(fromHeight: 1), .chainRequest(fromHeight: .max),
      .relayRequest(epoch: 0, voters: []), .blockRequest([.zero]), .certificateRequest(from: 1, to: 2),
    ]
    for round in 0..<2_000 {
      let bytes = LinkMessage.consensus(messages[round % messages.count]).encoded
      for input in cluster.members[0].inbound.frame(bytes, from: peer).inputs { cluster.step(0, input) }
      cluster.step(0, .laterEpoch(from: peer))
    }
    Self.expectBounds(cluster.members[0].core)
    #expect(cluster.members[0].core.counters["servingTooOften"] > 0)
    #expect(cluster.members[0].core.allCounters["sync.linksUnasked"] > 0)
    let height = cluster.members[0].core.ledger.finalHeight
    #expect(cluster.run(for: .seconds(60)) { $0.members[0].core.ledger.finalHeight > height + 10 })
    #expect(cluster.isConsistent)
  }

  @Test func servedPeersAndLinksAreBounded() throws {
    var limits = ServingLimits()
    var now = Instant.zero + .seconds(1)
    for number in 0..<3_000 {
      let peer = Self.id(number)
      let isAdmitted = limits.admit(peer, now: now)
      #expect(isAdmitted)
      now = now + Microseconds(1)
    }
    #expect(limits.count == ServingLimits.maximumPeers)
    var cluster = try Cluster(1)
    cluster.start()
    for number in 0..<(NodeCore.maximumLinks + 10) {
      let peer = Self.id(number)
      cluster.members[0].core.links.insert(peer)
      if cluster.members[0].core.links.count >= NodeCore.maximumLinks { break }
    }
    cluster.step(0, .linkUp(try Cluster.key(60).id, cluster.members[0].address))
    #expect(cluster.members[0].core.links.count == NodeCore.maximumLinks)
    #expect(cluster.members[0].core.counters["linksFull"] == 1)
  }

  @Test func transactionsThatWaitForANonceHoldUpNoOthers() throws {
    var pool = Mempool()
    let network = Digest.zero
    let signature = try #require(Signature(bytes: [UInt8](repeating: 0, count: 64)))
    func signer(_ number: Int) -> Signer {
      Signer(id: Self.id(number), networkID: network) { _ in signature }
    }
    func transfer(_ signer: Signer, _ nonce: UInt64) -> Verified<Message> {
      signer.seal(
        .transaction(
          Transaction(
            nonce: nonce, feeMicrocredits: 100, expiresMilliseconds: 1_000 + nonce,
            action: .transfer(to: signer.id, amountMicrocredits: 1))), sequence: nonce + 1)
    }
    // As many as a block takes, and more, that lack the nonce before.
    for number in 0..<5_000 { #expect(pool.add(transfer(signer(number), 1)) == .added) }
    let late = signer(9_999)
    for nonce in [3, 2, 0, 1] as [UInt64] { #expect(pool.add(transfer(late, nonce)) == .added) }
    var looks = 0
    let found = pool.candidates(limit: 4_096) { _ in
      looks += 1
      return 0
    }
    #expect(found.map(\.value.author) == [NodeID](repeating: late.id, count: 4))
    #expect(looks == 1)
    // The state of the parent may be ahead of the final one.
    #expect(pool.candidates(limit: 10) { _ in 2 }.count == 2)
    #expect(pool.candidates(limit: 10) { _ in 4 }.isEmpty)
    // When the missing nonce is final, the next one's turn has come.
    let stale = pool.removeStale(account: signer(7).id, below: 1)
    #expect(stale.isEmpty)
    #expect(pool.candidates(limit: 10) { $0 == late.id ? 0 : 1 }.first?.value.author == signer(7).id)
    pool.removeStale(account: late.id, below: 2)
    #expect(pool.count == 5_002)
    pool.removeExpired(at: 1_001)
    #expect(pool.count == 2)
    pool.removeExpired(at: 1_003)
    #expect(pool.count == 0 && pool.accountCount == 0)
    #expect(pool.candidates(limit: 10) { _ in 0 }.isEmpty)
  }
}
