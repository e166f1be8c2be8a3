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
    // All of it within one heartbeat, so that it costs once.
    let costs = cluster.members[0].core.conduct(of: peer)?.costs.filter { $0.misconduct == .requestFlood } ?? []
    #expect(costs.count == 1 && costs.allSatisfy { $0.count > 100 && $0.points == 15 }, "\(costs)")
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
      let verdict = limits.admit(peer, .states, now: now)
      #expect(verdict == .served)
      now = now + Microseconds(1)
    }
    #expect(limits.count == ServingLimits.maximumPeers)
    // Each kind has an allowance of its own, and a request for much costs much.
    let peer = Self.id(0)
    for kind in ServingLimits.Kind.allCases {
      let allowance = kind.allowance
      for isRested in [false, true] {
        if isRested { now = now + allowance.interval * allowance.burst }
        let all = limits.admit(peer, kind, cost: allowance.burst, now: now)
        let more = limits.admit(peer, kind, now: now)
        #expect(all == .served && more == .tooOften, "\(kind)")
      }
    }
    var cluster = try Cluster(1)
    cluster.start()
    for number in 0..<(NodeCore.maximumLinks + 10) {
      let peer = Self.id(number)
      cluster.members[0].core.links.insert(peer)
      if cluster.members[0].core.links.count >= NodeCore.maximumLinks { break }
    }
    cluster.step(0, .linkUp(try Cluster.key(60).id, cluster.members[0].address, isOutbound: false))
    #expect(cluster.members[0].core.links.count == NodeCore.maximumLinks)
    #expect(cluster.members[0].core.counters["linksFull"] == 1)
  }

  /// Who catches up may ask for some times what it gets, for as long as it takes; who asks for much more is charged.
  @Test func onlySeveralTimesWhatIsServedIsAFlood() {
    for kind in ServingLimits.Kind.allCases {
      let allowance = kind.allowance
      for (factor, isFlood) in [(3, false), (5, true)] as [(Int64, Bool)] {
        var limits = ServingLimits()
        var verdicts: [ServingLimits.Verdict] = []
        for number in 0..<(20 * allowance.burst * factor) {
          let now = Instant.zero + .seconds(1) + allowance.interval * number / factor
          verdicts.append(limits.admit(Self.id(0), kind, now: now))
        }
        #expect(verdicts.contains(.flood) == isFlood && verdicts.contains(.tooOften), "\(kind) \(factor)")
        let served = verdicts.count { $0 == .served }
        #expect(served <= 21 * Int(allowance.burst) && served >= 20 * Int(allowance.burst), "\(kind) \(served)")
      }
    }
  }

  /// Twenty bytes must not make a node send a hundred certificates as often as anybody likes.
  @Test func everyKindOfRequestIsLimited() throws {
    var cluster = try Cluster(3, validators: 2)
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.members[0].core.ledger.finalHeight > 3 })
    let block = cluster.members[0].core.consensus.workParent
    func flood(from peer: Int, _ message: ConsensusMessage) -> Int {
      let sent = SyncTests.Counter()
      var counting = cluster
      counting.tamper = { from, to, message in
        if from == 0, to == peer { sent.add() }
        return nil
      }
      for _ in 0..<2_000 {
        for input in counting.members[0].inbound.frame(LinkMessage.consensus(message).encoded, from: cluster.id(peer))
          .inputs
        {
          counting.step(0, input)
        }
      }
      return sent.count
    }
    let certificates = flood(from: 1, .certificateRequest(from: 0, to: 63))
    #expect(certificates > 0 && certificates <= Int(ServingLimits.Kind.certificates.allowance.burst))
    let blocks = flood(from: 1, .blockRequest([block, .zero]))
    #expect(blocks > 0 && blocks <= Int(ServingLimits.Kind.blocks.allowance.burst))
    let chains = flood(from: 2, .chainRequest(fromHeight: 1))
    #expect(chains > 0 && chains <= Int(ServingLimits.Kind.chain.allowance.burst))
  }

  private static func unsigned(_ account: NodeID, network: Digest = .zero) throws -> Signer {
    let signature = try #require(Signature(bytes: [UInt8](repeating: 0, count: 64)))
    return Signer(id: account, networkID: network) { _ in signature }
  }

  private static func transfer(_ signer: Signer, _ nonce: UInt64, expires: UInt64) -> Verified<Message> {
    signer.seal(
      .transaction(
        Transaction(
          nonce: nonce, feeMicrocredits: 100, expiresMilliseconds: expires,
          action: .transfer(to: signer.id, amountMicrocredits: 1))), sequence: nonce + 1)
  }

  /// Eight accounts with the fee of one transaction each, that sign thousands behind a missing nonce.
  @Test func transactionsThatNobodyPaysForKeepNoHonestOneOut() throws {
    let fee = ChainParameters().minimumFeeMicrocredits
    for (balance, counter) in [(fee, "mempoolUnaffordable"), (fee * 2_048, "mempoolGapFull")] {
      var cluster = try Cluster(
        9, validators: 1, balances: Dictionary(uniqueKeysWithValues: (1..<9).map { ($0, balance) }))
      cluster.start([0])
      let expires = cluster.genesis.createdMilliseconds + 3_600_000
      for attacker in 1..<9 {
        let signer = try Self.unsigned(cluster.id(attacker), network: cluster.genesis.networkID)
        cluster.step(0, .linkUp(signer.id, cluster.members[attacker].address, isOutbound: false))
        for start in stride(from: 1, through: 2_048, by: 64) {
          let batch = (start..<(start + 64)).map { Self.transfer(signer, UInt64($0), expires: expires) }
          cluster.step(0, .gossip(batch, from: cluster.id(attacker)))
        }
      }
      #expect(cluster.members[0].core.mempool.count <= 8 * Mempool.maximumGappedPerAccount)
      #expect(cluster.members[0].core.counters[counter] > 8_000)
      let other = try Cluster.key(20).id
      _ = try cluster.submit(.transfer(to: other, amountMicrocredits: 5_000))
      let isDone = cluster.run(for: .seconds(10)) {
        $0.members[0].core.finalState.account(other).balanceMicrocredits == 5_000
      }
      #expect(isDone)
    }
  }

  /// The first of the most that one account may have takes what should pay for the others.
  @Test func whoSpendsTheFeesLosesThePlaceInThePool() throws {
    let fee = ChainParameters().minimumFeeMicrocredits
    let balance = fee * UInt64(Mempool.maximumPerAccount)
    var cluster = try Cluster(2, validators: 1, balances: [1: balance])
    cluster.start([0])
    let expires = cluster.genesis.createdMilliseconds + 3_600_000
    let signer = try Self.unsigned(cluster.id(1), network: cluster.genesis.networkID)
    cluster.step(0, .linkUp(signer.id, cluster.members[1].address, isOutbound: false))
    let drain = signer.seal(
      .transaction(
        Transaction(
          nonce: 0, feeMicrocredits: fee, expiresMilliseconds: expires,
          action: .transfer(to: cluster.id(0), amountMicrocredits: balance - fee))), sequence: 1)
    let others = (1..<Mempool.maximumPerAccount).map { Self.transfer(signer, UInt64($0), expires: expires) }
    // One input, so that no block is begun before all are in.
    cluster.step(0, .gossip([drain] + others, from: signer.id))
    #expect(cluster.members[0].core.mempool.count == Mempool.maximumPerAccount)
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.finalState.account(signer.id).nonce == 1 })
    #expect(cluster.members[0].core.finalState.account(signer.id).balanceMicrocredits == 0)
    #expect(cluster.members[0].core.mempool.count == 0)
    #expect(cluster.members[0].core.broadcast.storedCount == 0)
    #expect(cluster.members[0].core.counters["mempoolUnpaid"] == UInt64(others.count))
  }

  @Test func whatWasRefusedForNowIsTakenWhenItComesAgain() throws {
    var cluster = try Cluster(2, validators: 1)
    cluster.start([0])
    let expires = cluster.genesis.createdMilliseconds + 3_600_000
    let signer = try Self.unsigned(cluster.id(1), network: cluster.genesis.networkID)
    cluster.step(0, .linkUp(signer.id, cluster.members[1].address, isOutbound: false))
    let all = (0..<1_000).map { Self.transfer(signer, UInt64($0), expires: expires) }
    let late = Array(all[64...])
    cluster.step(0, .gossip(late, from: signer.id))
    #expect(cluster.members[0].core.mempool.count == Mempool.maximumGappedPerAccount)
    cluster.step(0, .gossip(Array(all[..<64]), from: signer.id))
    #expect(cluster.members[0].core.mempool.count == Mempool.maximumGappedPerAccount + 64)
    let duplicates = cluster.members[0].core.broadcast.counters["duplicate"]
    cluster.step(0, .gossip(late, from: signer.id))
    #expect(cluster.members[0].core.mempool.count == 1_000)
    #expect(cluster.members[0].core.broadcast.counters["duplicate"] == duplicates + UInt64(late.count))
    // What is final is not offered again.
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.finalState.account(signer.id).nonce == 1_000 })
    cluster.step(0, .gossip(late, from: signer.id))
    #expect(cluster.members[0].core.mempool.count == 0)
    #expect(cluster.members[0].core.counters["transactionStale"] == 0)
  }

  /// The account that gets in displaces the last of its own.
  @Test func whatIsDisplacedIsNotPaidFor() throws {
    var pool = Mempool()
    let half = Mempool.maximumTransactions - Mempool.maximumGapped
    let ready = try (0..<half).map { Self.transfer(try Self.unsigned(Self.id($0)), 0, expires: 9) }
    for message in ready { #expect(pool.add(message) == .added) }
    let greedy = try (0..<32).map { try Self.unsigned(Self.id(100_000 + $0)) }
    for signer in greedy {
      for nonce in 1...Mempool.maximumGappedPerAccount {
        #expect(pool.add(Self.transfer(signer, UInt64(nonce), expires: 9)) == .added)
      }
    }
    let most = try #require(greedy.max { $0.id < $1.id })
    let count = UInt64(Mempool.maximumGappedPerAccount)
    let last = Self.transfer(most, count, expires: 9)
    #expect(pool.add(Self.transfer(most, 0, expires: 9)) == .displaced([last.value.id]))
    #expect(pool.count == Mempool.maximumTransactions)
    pool.remove(ready[0].value.id)
    let fees = (count + 1) * 100
    #expect(pool.add(last, balanceMicrocredits: fees - 1) == .unaffordable)
    #expect(pool.add(last, balanceMicrocredits: fees) == .added)
  }

  @Test func whatIsValidForTooLongIsRefused() throws {
    var cluster = try Cluster(2, validators: 1)
    cluster.start()
    let signer = cluster.members[1].signer
    let now = UInt64(Cluster.wallOffset.count + cluster.now.microseconds) / 1_000
    let limit = now + NodeCore.maximumValidityMilliseconds
    cluster.step(0, .gossip([Self.transfer(signer, 5, expires: limit + 1)], from: signer.id))
    #expect(cluster.members[0].core.mempool.count == 0)
    #expect(cluster.members[0].core.counters["transactionExpiresTooLate"] == 1)
    cluster.step(0, .gossip([Self.transfer(signer, 5, expires: limit)], from: signer.id))
    #expect(cluster.members[0].core.mempool.count == 1)
  }

  /// What the load test keeps under way, and comes out of order: 64 accounts with 94 nonces each.
  @Test func aWindowOfConsecutiveNoncesMayComeInAnyOrder() throws {
    var generator = SeededGenerator(seed: 7)
    let signers = try (0..<64).map { try Self.unsigned(Self.id($0)) }
    var window = signers.flatMap { signer in (0..<94).map { (signer, UInt64($0)) } }
    generator.shuffle(&window)
    var pool = Mempool()
    for (signer, nonce) in window { #expect(pool.add(Self.transfer(signer, nonce, expires: 9)) == .added) }
    #expect(pool.gapped == 0)
    #expect(pool.candidates(limit: 8_192) { _ in 0 }.count == 64 * 94)
  }

  @Test func whoseTurnCanComeDisplacesWhatWaitsForANonce() throws {
    var pool = Mempool()
    // A pool that is full, half of it of one transaction each whose turn has come.
    let half = Mempool.maximumTransactions - Mempool.maximumGapped
    for number in 0..<half {
      #expect(pool.add(Self.transfer(try Self.unsigned(Self.id(number)), 0, expires: 9)) == .added)
    }
    let greedy = try (0..<32).map { try Self.unsigned(Self.id(100_000 + $0)) }
    for signer in greedy {
      for nonce in 1...Mempool.maximumGappedPerAccount {
        #expect(pool.add(Self.transfer(signer, UInt64(nonce), expires: 9)) == .added)
      }
    }
    #expect(pool.count == Mempool.maximumTransactions && pool.gapped == Mempool.maximumGapped)
    #expect(pool.add(Self.transfer(greedy[0], 1_000, expires: 9)) == .gapFull)
    // An account that has fewer gets its share of what waits, from those that have most.
    let honest = try Self.unsigned(Self.id(200_000))
    for nonce in [2, 1] as [UInt64] {
      guard case .displaced = pool.add(Self.transfer(honest, nonce, expires: 9)) else {
        Issue.record("\(nonce) is not in")
        continue
      }
    }
    guard case .displaced = pool.add(Self.transfer(honest, 0, expires: 9)) else {
      Issue.record("a transaction whose turn has come is not in")
      return
    }
    #expect(pool.nextNonce(of: honest.id, from: 0) == 3)
    #expect(pool.count == Mempool.maximumTransactions && pool.gapped == Mempool.maximumGapped - 3)
    // All of them can be displaced, and then nothing.
    var isFull = false
    for number in 0..<(Mempool.maximumGapped + 1) {
      switch pool.add(Self.transfer(try Self.unsigned(Self.id(300_000 + number)), 0, expires: 9)) {
      case .displaced: #expect(!isFull)
      case .poolFull: isFull = true
      default: Issue.record("neither in nor out")
      }
    }
    #expect(isFull && pool.gapped == 0 && pool.count == Mempool.maximumTransactions)
    #expect(pool.candidates(limit: 20_000) { _ in 0 }.count == Mempool.maximumTransactions)
  }

  @Test func transactionsThatWaitForANonceHoldUpNoOthers() throws {
    var pool = Mempool()
    func signer(_ number: Int) throws -> Signer { try Self.unsigned(Self.id(number)) }
    func transfer(_ signer: Signer, _ nonce: UInt64) -> Verified<Message> {
      Self.transfer(signer, nonce, expires: 1_000 + nonce)
    }
    // As many as a block takes, and more, that lack the nonce before.
    for number in 0..<5_000 { #expect(pool.add(transfer(try signer(number), 1)) == .added) }
    let late = try signer(9_999)
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
    let late7 = try signer(7).id
    let stale = pool.removeStale(account: late7, below: 1)
    #expect(stale.isEmpty)
    #expect(pool.candidates(limit: 10) { $0 == late.id ? 0 : 1 }.first?.value.author == late7)
    pool.removeStale(account: late.id, below: 2)
    #expect(pool.count == 5_002)
    pool.removeExpired(at: 1_001)
    #expect(pool.count == 2)
    pool.removeExpired(at: 1_003)
    #expect(pool.count == 0 && pool.accountCount == 0)
    #expect(pool.candidates(limit: 10) { _ in 0 }.isEmpty)
  }
}
