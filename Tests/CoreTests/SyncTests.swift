import Consensus
import Ledger
import Primitives
import Testing
import Wire

@testable import Core

@Suite struct SyncTests {
  /// Four validators that have gone through some epochs, and a fifth node that has never been up.
  private static func old(epochs: UInt64 = 6, distance: UInt64 = 12) throws -> Cluster {
    var parameters = Cluster.parameters()
    // A state is served for two epochs: 24 seconds.
    parameters.blockIntervalIdleMilliseconds = 1_500
    var cluster = try Cluster(5, validators: 4, parameters: parameters) { $0.snapshotDistance = distance }
    cluster.start([0, 1, 2, 3])
    _ = try cluster.submit(.transfer(to: try Cluster.key(50).id, amountMicrocredits: 5_000), from: 1)
    let newKey = try cluster.signer(100)
    cluster.members[0].voteSigners.append(newKey)
    cluster.step(0, .voteSigners(cluster.members[0].voteSigners))
    _ = try cluster.submit(.rotateKey(newKey.voteKey(of: cluster.id(0))), from: 0)
    #expect(cluster.run(for: .seconds(200)) { $0.epoch(0) >= epochs })
    return cluster
  }

  private static func hasCaughtUp(_ cluster: Cluster) -> Bool {
    cluster.members[4].core.ledger.finalHeight + 1 >= cluster.members[0].core.ledger.finalHeight
      && cluster.epoch(4) == cluster.epoch(0)
  }

  @Test func aNewcomerTakesTheEpochsLinksAndAState() throws {
    var cluster = try Self.old()
    cluster.start([4])
    #expect(cluster.run(for: .seconds(60)) { Self.hasCaughtUp($0) })
    let install = try #require(cluster.members[4].installs.first)
    #expect(cluster.members[4].installs.count == 1)
    #expect(install.link.header.height >= 40)
    #expect(install.snapshot.stateRoot == install.link.header.stateRoot)
    #expect(install.validators == install.link.nextSet)
    // Nothing below the state was fetched.
    #expect(cluster.chain(4).keys.allSatisfy { $0 > install.link.header.height })
    #expect(cluster.isConsistent)
    #expect(cluster.members[4].core.finalState.account(try Cluster.key(50).id).balanceMicrocredits == 5_000)
    #expect(cluster.run(for: .seconds(120)) { $0.epoch(4) == install.link.header.epoch + 4 })
    #expect(cluster.isConsistent)
    // It can prove the way to others.
    let proven = try cluster.verifier.verify(
      cluster.members[4].links.sorted { $0.header.epoch < $1.header.epoch }, from: cluster.genesis.validatorSet)
    #expect(proven.validators == cluster.members[4].links.last?.next)
    #expect(cluster.members[4].refused.allSatisfy { $0 == "consensus.unknownEpoch" })
    // And it starts again from the state that it fetched.
    try cluster.restart(4)
    cluster.start([4])
    #expect(cluster.run(for: .seconds(60)) { Self.hasCaughtUp($0) })
    #expect(cluster.isConsistent)
  }

  @Test func aNodeThatIsNotFarBehindTakesTheBlocks() throws {
    var cluster = try Self.old(distance: 1_000)
    cluster.start([4])
    #expect(cluster.run(for: .seconds(60)) { Self.hasCaughtUp($0) })
    #expect(cluster.members[4].installs.isEmpty)
    #expect(cluster.chain(4).count == Int(cluster.members[4].core.ledger.finalHeight))
    #expect(cluster.isConsistent)
  }

  @Test func aPeerWhoseChunkIsNotProvenIsNotAskedAgain() throws {
    var cluster = try Self.old()
    let lied = Counter()
    let honest = Counter()
    cluster.tamper = { from, to, message in
      guard to == 4, case .consensus(.snapshot(let chunk)) = message else { return message }
      // The true chunk must not be there before the false ones.
      if from == 3 {
        honest.add()
        return honest.count == 1 ? nil : message
      }
      lied.add()
      return .consensus(
        .snapshot(
          SnapshotChunk(
            height: chunk.height, depth: chunk.depth, prefix: chunk.prefix, entries: Array(chunk.entries.dropLast()),
            siblings: chunk.siblings)))
    }
    cluster.start([4])
    #expect(cluster.run(for: .seconds(100)) { Self.hasCaughtUp($0) })
    #expect(cluster.members[4].installs.count == 1)
    // Two requests of one peer may be under way when the first answer shows what it is.
    let refused = cluster.members[4].core.allCounters["sync.chunkUnproven"]
    #expect((1...3).contains(refused) && lied.count <= 2 * Int(refused))
    #expect(cluster.isConsistent)
  }

  @Test func whenAllLieTheChainIsTaken() throws {
    var cluster = try Self.old()
    cluster.tamper = { _, to, message in
      guard to == 4, case .consensus(.snapshot(let chunk)) = message else { return message }
      return .consensus(
        .snapshot(
          SnapshotChunk(
            height: chunk.height, depth: chunk.depth, prefix: chunk.prefix, entries: [], siblings: chunk.siblings)))
    }
    cluster.start([4])
    #expect(cluster.run(for: .seconds(200)) { Self.hasCaughtUp($0) })
    #expect(cluster.members[4].installs.isEmpty)
    #expect(cluster.members[4].core.allCounters["sync.chunkUnproven"] > 0)
    #expect(cluster.members[4].core.allCounters["sync.snapshotNotServed"] > 0)
    #expect(cluster.isConsistent)
  }

  @Test(arguments: [[0, 1, 2], [0, 1, 2, 3]])
  func silenceIsPassedOver(silent: [Int]) throws {
    var cluster = try Self.old()
    cluster.tamper = { from, to, message in
      if to == 4, silent.contains(from) || silent.count < 4, case .consensus(let said) = message {
        switch said {
        case .snapshot where silent.contains(from), .epochs where silent.contains(from): return nil
        // With one that answers, the blocks must not be here before the state.
        case .chain(let blocks, _) where silent.count < 4 && blocks[0].header.height < 40: return nil
        default: break
        }
      }
      return message
    }
    cluster.start([4])
    #expect(cluster.run(for: .seconds(200)) { Self.hasCaughtUp($0) })
    // When nobody answers there is the chain.
    #expect(cluster.members[4].installs.count == (silent.count == 4 ? 0 : 1))
    #expect(cluster.isConsistent)
  }

  @Test func forgedLinksAreNoLinks() throws {
    var cluster = try Self.old()
    let foreign = try Cluster.key(77).id
    cluster.tamper = { from, to, message in
      guard from != 3, to == 4, case .consensus(.epochs(let links)) = message else { return message }
      let forged = links.compactMap { link -> EpochLink? in
        var header = link.header
        let next = [Validator(node: foreign, key: foreign)]
        header.nextValidators = ValidatorSet.digest(of: next)
        let subject = link.finalization.subject
        let vote = VoteSubject.finalize(
          epoch: subject.epoch, view: subject.view, parentView: subject.parentView, blockID: header.id)
        // The signatures are those of the true block.
        var writer = WireWriter()
        writer.value(vote)
        let tail = link.finalization.encoded.dropFirst(subject.encoded.count)
        guard let certificate = try? Certificate(decoding: writer.bytes + tail) else { return nil }
        return EpochLink(header: header, finalization: certificate, next: next)
      }
      return .consensus(.epochs(forged))
    }
    cluster.start([4])
    #expect(cluster.run(for: .seconds(200)) { Self.hasCaughtUp($0) })
    #expect(cluster.members[4].installs.count == 1)
    #expect(cluster.members[4].refused.contains { $0 == "consensus.badSignature" })
    #expect(cluster.isConsistent)
  }

  @Test func aStateIsNeverTakenBackwards() throws {
    var cluster = try Self.old()
    // Chunks are so slow that the chain is faster.
    let held = Counter()
    cluster.tamper = { _, to, message in
      guard to == 4, case .consensus(.snapshot) = message else { return message }
      held.add()
      return nil
    }
    cluster.start([4])
    #expect(cluster.run(for: .seconds(3)) { _ in held.count > 0 })
    // Meanwhile a peer brings the blocks.
    cluster.step(4, .laterEpoch(from: cluster.id(0)))
    for commit in cluster.members[0].committed {
      let chain = ConsensusMessage.chain(commit.blocks.map(\.value), finalization: commit.finalization.value)
      let first = try #require(commit.blocks.first).value.header.height
      // As if it had been asked for.
      cluster.members[4].book.asked.withLock { $0.note(.chainRequest(fromHeight: first), to: cluster.id(0)) }
      let received = cluster.members[4].inbound.frame(LinkMessage.consensus(chain).encoded, from: cluster.id(0))
      for input in received.inputs { cluster.step(4, input) }
    }
    let height = cluster.members[4].core.ledger.finalHeight
    #expect(height + 1 >= cluster.members[0].core.ledger.finalHeight)
    cluster.tamper = { $2 }
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(4) > 8 })
    #expect(cluster.members[4].installs.allSatisfy { $0.link.header.height > height })
    #expect(cluster.isConsistent)
  }

  @Test func aValidatorThatWasAwayForEpochsTakesAStateAndVotesAgain() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters()) { $0.snapshotDistance = 12 }
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.members[3].core.ledger.finalHeight == 5 })
    cluster.stop(3)
    #expect(cluster.run(for: .seconds(200)) { $0.epoch(0) >= 6 })
    try cluster.restart(3)
    let nonce = cluster.members[3].core.finalState.account(cluster.id(3)).nonce
    cluster.start([3])
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(3) == $0.epoch(0) })
    #expect(cluster.members[3].installs.count == 1)
    #expect(cluster.members[3].core.votingStanding == .voting)
    #expect(cluster.members[3].core.finalState.account(cluster.id(3)).nonce == nonce)
    cluster.stop(2)
    let height = cluster.members[0].core.ledger.finalHeight
    #expect(cluster.run(for: .seconds(100)) { $0.members[0].core.ledger.finalHeight > height + 10 })
    #expect(cluster.isConsistent)
  }

  /// A peer that gives one link at a time, each just before its time is up, has no more than its turn.
  @Test func aPeerThatDripsLinksDoesNotHoldUpTheOthers() throws {
    var cluster = try Cluster(1, parameters: Cluster.parameters())
    cluster.start()
    #expect(cluster.run(for: .seconds(400)) { $0.epoch(0) >= 12 })
    let links = cluster.members[0].links.sorted { $0.header.epoch < $1.header.epoch }
    let latest = try #require(links.last).header.epoch
    let (slow, honest) = (try Cluster.key(70).id, try Cluster.key(71).id)
    var sync = StateSync(known: cluster.genesis.validatorSet, distance: 8, seed: 1)
    sync.linkUp(slow)
    sync.linkUp(honest)
    var actions: [SyncAction] = []
    let start = Instant.zero + .seconds(100)
    var now = start
    sync.peerIsAhead(slow, height: 0, now: now, into: &actions)
    var asked: [NodeID] = []
    while case .ask(.epochRequest(let epoch), let peer)? = actions.last {
      asked.append(peer)
      actions = []
      let news = links.filter { $0.header.epoch >= epoch }
      now = now + (peer == slow ? .milliseconds(2_900) : .milliseconds(10))
      let answer = peer == slow ? Array(news.prefix(1)) : news
      sync.take(answer, from: peer, height: 0, now: now, into: &actions)
      if sync.known.epoch > latest { break }
    }
    #expect(sync.known.epoch > latest)
    #expect(asked.last == honest)
    #expect(now - start <= StateSync.linkTurn + StateSync.linkTimeout)
    // The slow one has another turn after the others: it may be the only one that knows more.
    sync.take([], from: honest, height: 0, now: now, into: &actions)
    guard case .ask(.epochRequest, let next)? = actions.last else {
      Issue.record("the slow one is not asked again")
      return
    }
    #expect(next == slow)
  }

  @Test func aPeerThatAsksTooOftenIsNotServed() throws {
    var cluster = try Cluster(2, parameters: Cluster.parameters())
    cluster.start()
    let peer = cluster.id(1)
    let request = LinkMessage.consensus(.epochRequest(fromEpoch: 0)).encoded
    for _ in 0..<200 {
      for input in cluster.members[0].inbound.frame(request, from: peer).inputs { cluster.step(0, input) }
    }
    let burst = Int(ServingLimits.Kind.states.allowance.burst)
    #expect(cluster.members[0].servedLinks == burst)
    #expect(cluster.members[0].core.counters["servingTooOften"] == UInt64(200 - burst))
    cluster.run(for: .seconds(2))
    for input in cluster.members[0].inbound.frame(request, from: peer).inputs { cluster.step(0, input) }
    #expect(cluster.members[0].servedLinks == burst + 1)
  }

  /// Counts from a closure that must be sendable or not.
  final class Counter {
    private(set) var count = 0
    func add() { count += 1 }
  }
}
