import Consensus
import Primitives
import Testing
import Wire

@Suite struct ByzantineTests {
  /// A block of view 1 on the genesis.
  func proposal(_ network: Network, by leader: Int, timestamp: UInt64) -> (Block, Vote) {
    var header = BlockHeader(
      epoch: 0, view: 1, height: 1, parentID: network.networkID, parentView: 0, timestampMilliseconds: timestamp,
      transactionsRoot: Block.transactionsRoot([]), stateRoot: .zero, nextValidators: .zero, reveal: .zero)
    header.stateRoot = network.nextState(network.networkID, header)
    let block = Block(header: header, transactions: [])!
    let vote = network.vote(.notarize(epoch: 0, view: 1, parentView: 0, blockID: block.id), by: leader).value
    return (block, vote)
  }

  @Test func noFinalizeForALeaderSeenToEquivocate() {
    let network = Network(4)
    let leader = network.leader(of: 1)
    let honest = (0..<4).filter { $0 != leader }
    for index in honest { network.start(index) }
    let (first, firstVote) = proposal(network, by: leader, timestamp: 900_000)
    let (second, secondVote) = proposal(network, by: leader, timestamp: 900_001)
    network.inject(.proposal(first, firstVote), as: leader, to: honest)
    // Two of the three see that the leader also signed another block, before the first is notarized.
    network.inject(.proposal(second, secondVote), as: leader, to: Array(honest.prefix(2)))
    network.run(for: .seconds(5))
    network.checkSafety(byzantine: [leader])
    let finalizers = network.votesSent.filter { $0.vote.subject.kind == .finalize && $0.vote.subject.view == 1 }.map(
      \.node)
    #expect(Set(finalizers) == [honest[2]])
    // Its block stays notarized, and is final by the one after it.
    #expect(network.commits.contains { $0.block.id == first.id })
    #expect(network.reached(5, honest))
  }

  @Test func aSplitByAnEquivocatingLeaderIsNullified() {
    let network = Network(7)
    let leader = network.leader(of: 1)
    let honest = (0..<7).filter { $0 != leader }
    for index in honest { network.start(index) }
    let (first, firstVote) = proposal(network, by: leader, timestamp: 900_000)
    let (second, secondVote) = proposal(network, by: leader, timestamp: 900_001)
    network.inject(.proposal(first, firstVote), as: leader, to: Array(honest.prefix(3)))
    network.inject(.proposal(second, secondVote), as: leader, to: Array(honest.suffix(3)))
    #expect(network.run(until: { network.reached(5, honest) }, limit: .seconds(10)))
    network.checkSafety(byzantine: [leader])
    #expect(!network.commits.contains { $0.block.header.view == 1 })
  }

  @Test func aLeaderMayNotSkipAViewThatWasNotNullified() {
    let network = Network(4)
    let leader = network.leader(of: 2)
    let honest = (0..<4).filter { $0 != leader }
    // Without finality the genesis stays the tip, so that only rule 3 speaks against building on it again.
    network.cuts = { _, _, message in
      if case .vote(let vote) = message { return vote.subject.kind == .finalize }
      return false
    }
    for index in honest { network.start(index) }
    #expect(
      network.run(until: { honest.allSatisfy { network.nodes[$0].machine?.view == 2 } }, limit: .seconds(1)))
    var header = BlockHeader(
      epoch: 0, view: 2, height: 1, parentID: network.networkID, parentView: 0, timestampMilliseconds: 900_000,
      transactionsRoot: Block.transactionsRoot([]), stateRoot: .zero, nextValidators: .zero, reveal: .zero)
    header.stateRoot = network.nextState(network.networkID, header)
    let block = Block(header: header, transactions: [])!
    let vote = network.vote(.notarize(epoch: 0, view: 2, parentView: 0, blockID: block.id), by: leader).value
    network.inject(.proposal(block, vote), as: leader, to: honest)
    network.run(for: .seconds(1))
    #expect(!network.votesSent.contains { $0.vote.subject.blockID == block.id })
    #expect(network.votesSent.contains { $0.vote.subject == .nullify(epoch: 0, view: 2) })
    network.cuts = { _, _, _ in false }
    #expect(network.run(until: { network.reached(5, honest) }, limit: .seconds(10)))
    network.checkSafety(byzantine: [leader])
  }

  @Test func aDoubleVoterIsCountedOnce() {
    let network = Network(4)
    let leader = network.leader(of: 1)
    let byzantine = (leader + 1) % 4
    let honest = (0..<4).filter { $0 != byzantine }
    for index in honest { network.start(index) }
    var round: UInt64 = 0
    for _ in 0..<200 {
      network.run(for: .milliseconds(10))
      let view = network.nodes[honest[0]].machine!.view
      for kind in VoteKind.allCases {
        round += 1
        let id = Digest(hashing: [UInt8(truncatingIfNeeded: round)])
        let subject: VoteSubject =
          switch kind {
          case .notarize: .notarize(epoch: 0, view: view, parentView: view - 1, blockID: id)
          case .nullify: .nullify(epoch: 0, view: view)
          case .finalize: .finalize(epoch: 0, view: view, parentView: view - 1, blockID: id)
          }
        network.inject(.vote(network.vote(subject, by: byzantine).value), as: byzantine, to: honest)
      }
    }
    #expect(network.reached(10, honest))
    network.checkSafety(byzantine: [byzantine])
    #expect(network.nodes[honest[0]].machine!.counters["conflictingVote"] > 0)
  }

  @Test func viewsOutOfReachCostNothing() {
    let network = Network(4)
    network.setWork(false)
    for index in 0..<3 { network.start(index) }
    func occupancy() -> [Occupancy] {
      // Whoever claims to be in a later epoch is asked for the chain, as one peer of few.
      network.nodes[0].machine!.occupancy.filter { $0.name != "aheadPeers" && $0.name != "chainRequests" }
    }
    let before = occupancy()
    for step in 0..<2_000 as Range<UInt64> {
      let view = step % 2 == 0 ? UInt64.max - step : step + 3
      for subject in [
        VoteSubject.nullify(epoch: 0, view: view),
        .notarize(epoch: 0, view: view, parentView: 1, blockID: Digest(hashing: [1])),
        .finalize(epoch: 0, view: view, parentView: 1, blockID: Digest(hashing: [1])),
        .nullify(epoch: step + 1, view: 1),
      ] {
        let message = ConsensusMessage.vote(network.vote(subject, by: 3).value)
        if let verified = network.verified(message) {
          network.step(0, .message(verified, from: network.nodes[3].signer.id))
        }
      }
    }
    #expect(occupancy() == before)
    #expect(network.nodes[0].machine!.counters["voteTooFarAhead"] == 6_000)
  }

  @Test func extremeNumbersAreRefusedNotTrapped() {
    let network = Network(4)
    network.setWork(false)
    network.startAll()
    let all = [0, 1, 2, 3]
    let id = Digest(hashing: [1])
    let block = proposal(network, by: 0, timestamp: .max).0
    var messages: [ConsensusMessage] = [
      .certificateRequest(from: 0, to: .max), .certificateRequest(from: .max, to: 0), .chainRequest(fromHeight: 0),
      .chainRequest(fromHeight: .max), .blockRequest([]), .blockRequest([id]), .blocks([block]), .blocks([]),
      .certificates([]),
    ]
    for view: UInt64 in [.max, .max - 1, 1 << 63, (1 << 62) + 1] {
      messages += [
        .certificate(network.certificate(.nullify(epoch: 0, view: view), by: all)),
        .certificate(
          network.certificate(.notarize(epoch: 0, view: view, parentView: view - 1, blockID: id), by: all)),
        .certificate(
          network.certificate(.finalize(epoch: 0, view: view, parentView: view - 1, blockID: id), by: all)),
      ]
    }
    for message in messages {
      guard let verified = try? network.verifier.verify(message, validators: network.known()) else {
        Issue.record("the message should verify")
        continue
      }
      network.step(0, .message(verified, from: network.nodes[1].signer.id))
    }
    #expect(network.nodes[0].machine!.view == 1)
    #expect(network.nodes[0].machine!.counters["certificateViewOutOfRange"] == 12)
    #expect(network.nodes[0].machine!.counters["chainRequestAhead"] == 2)
    network.setWork(true)
    #expect(network.run(until: { network.reached(5) }, limit: .seconds(10)))
    network.checkSafety()
  }

  @Test func blocksThatNobodyAskedForAreNotKept() {
    let network = Network(4)
    network.setWork(false)
    network.startAll()
    for timestamp in 0..<500 as Range<UInt64> {
      let block = proposal(network, by: 0, timestamp: 900_000 + timestamp).0
      let verified = network.verified(.blocks([block]))!
      network.step(1, .message(verified, from: network.nodes[0].signer.id))
    }
    #expect(network.nodes[1].machine!.counters["blockUnasked"] == 500)
    #expect(network.nodes[1].machine!.occupancy.first { $0.name == "blocks" }?.count == 0)
  }

  @Test func aVoteUnderTheOwnKeyFromElsewhereDoesNotCount() {
    let network = Network(4)
    network.setWork(false)
    network.startAll()
    let message = ConsensusMessage.vote(network.vote(.nullify(epoch: 0, view: 1), by: 0).value)
    network.step(0, .message(network.verified(message)!, from: network.nodes[1].signer.id))
    #expect(network.nodes[0].machine!.counters["voteOfOwnKey"] == 1)
  }
}
