import Consensus
import Primitives
import Testing
import Wire

@Suite struct CatchUpTests {
  /// Gives nodes a chain that three validators finalized, one block in sixteen by a certificate of its own.
  static func grow(_ network: Network, to height: UInt64, on holders: [Int]) {
    var parentID = network.networkID
    var state = network.networkID
    var timestamp: UInt64 = 2_000
    for next in 1...height {
      let epoch = (next - 1) / network.settings.epochBlocks
      let view = (next - 1) % network.settings.epochBlocks + 1
      var header = BlockHeader(
        epoch: epoch, view: view, height: next, parentID: parentID, parentView: view - 1,
        timestampMilliseconds: timestamp, transactionsRoot: Block.transactionsRoot([]), stateRoot: .zero,
        nextValidators: .zero, reveal: .zero)
      header.stateRoot = network.nextState(state, header)
      let block = Verified<Block>(header: header, transactions: [])!.value
      for holder in holders {
        network.nodes[holder].chain.append(block)
        network.nodes[holder].states[block.id] = header.stateRoot
      }
      if next % 16 == 0 || next == height {
        let subject = VoteSubject.finalize(epoch: epoch, view: view, parentView: view - 1, blockID: block.id)
        let certificate = Certificate.assemble(holders.map { network.vote(subject, by: $0) })!
        for holder in holders { network.nodes[holder].finalizations[next] = certificate }
      }
      (parentID, state, timestamp) = (block.id, header.stateRoot, timestamp + 1)
    }
  }

  /// A validator that is ten thousand blocks behind, and a follower a thousand.
  @Test(arguments: [(late: 3, height: 10_000), (late: 4, height: 1_000)])
  func aNodeFarBehindWaitsForNoRoundTrips(late: Int, height: Int) {
    var parameters = ChainParameters()
    // So that two ends of epochs are crossed; a multiple of sixteen.
    parameters.epochBlocks = UInt64(height) * 2 / 5
    let network = Network(4, observers: 1, parameters: parameters)
    CatchUpTests.grow(network, to: UInt64(height), on: [0, 1, 2])
    network.hasWork = false
    for index in 0..<3 { network.start(index) }
    var asked = 0
    var answered = 0
    network.watch = { from, message, _ in
      switch message {
      case .chainRequest where from == late: asked += 1
      case .chain: answered += 1
      default: break
      }
    }
    let before = network.messagesSent
    network.start(late)
    // Half of what a round trip of 20 ms for each answer would take, and a moment to begin.
    let answers = height / 64 + 3
    #expect(network.run(until: { network.reached(height, [late]) }, limit: .milliseconds(300 + 10 * Int64(answers))))
    #expect(answered <= answers + 9)
    #expect(asked <= answers + 30)
    #expect(network.messagesSent - before < 2 * answers + 200)
    network.setWork(true)
    #expect(network.run(until: { network.reached(height + 5, [0, 1, 2, late]) }, limit: .seconds(10)))
    network.checkSafety()
  }

  /// An answer is taken once, whoever else gives it, and only where it was asked for.
  @Test func answersAreTakenOnce() {
    let network = Network(4)
    CatchUpTests.grow(network, to: 320, on: [0, 1, 2])
    network.hasWork = false
    for index in 0..<3 { network.start(index) }
    network.cuts = { _, to, _ in to == 3 }
    network.start(3)
    let chain = network.nodes[0].chain
    func answer(_ heights: ClosedRange<Int>, from peer: Int) {
      let message = ConsensusMessage.chain(
        Array(chain[heights.lowerBound - 1...heights.upperBound - 1]),
        finalization: network.nodes[0].finalizations[UInt64(heights.upperBound)]!.value)
      network.step(3, .message(network.verified(message)!, from: network.nodes[peer].signer.id))
    }
    answer(129...192, from: 1)
    #expect(network.height(3) == 0)
    #expect(network.nodes[3].machine!.counters["chainUnasked"] == 1)
    answer(1...64, from: 1)
    #expect(network.height(3) == 64)
    answer(1...64, from: 2)
    answer(49...96, from: 2)
    #expect(network.height(3) == 96)
    for _ in 0..<20 { answer(257...320, from: 0) }
    #expect(network.height(3) == 96)
    network.checkSafety()
  }

  /// A faulty peer says again and again that it is epochs ahead; what is known to be missing is asked for all the same.
  @Test func aPeersWordKeepsNothingFromBeingFetched() {
    let network = Network(4)
    network.cuts = { from, to, message in
      switch message {
      case .proposal: to == 3
      case .vote(let vote): vote.subject.kind == .finalize
      case .blocks: from == 0
      default: false
      }
    }
    network.startAll()
    for _ in 0..<400 where (network.nodes[3].machine?.certifiedTip.height ?? 0) < 5 {
      network.step(3, .laterEpoch(network.nodes[0].signer.id))
      network.run(for: .milliseconds(50))
    }
    #expect((network.nodes[3].machine?.certifiedTip.height ?? 0) >= 5)
    #expect(network.nodes[3].machine!.counters["laterEpoch"] > 5)
    network.checkSafety()
  }

  /// Blocks were notarized and then lost by all, in more views than one request names. Of the view after these others
  /// still have the block, and without this node they have no quorum.
  @Test(arguments: [true, false])
  func blocksThatNobodyHasKeepNoneFromBeingFetched(hasVoted: Bool) {
    let network = Network(4)
    let view = (18...40 as ClosedRange<UInt64>).first { network.leader(of: $0) == 1 }!
    let honest = [0, 1, 2]
    for lost in 1..<view {
      let subjects = [network.notarize(network.block(view: lost)), .nullify(epoch: 0, view: lost)]
      for index in honest {
        network.nodes[index].journal += subjects.map { .ownVote(network.vote($0, by: index).value) }
        network.nodes[index].journal += subjects.map { .certificate(network.certificate($0, by: honest)) }
      }
    }
    let block = network.block(view: view)
    let notarize = network.notarize(block)
    for index in honest {
      if index > 0 || hasVoted {
        network.nodes[index].journal.append(.ownVote(network.vote(notarize, by: index).value))
      }
      network.nodes[index].journal.append(.certificate(network.certificate(notarize, by: [1, 2, 3])))
      if index > 0 { network.nodes[index].journal.append(.certified(block)) }
    }
    for index in honest { network.start(index) }
    #expect(
      network.run(
        until: { network.nodes[0].machine!.certifiedTip.height > 0 }, limit: network.settings.fetchInterval * 3))
    #expect(network.run(until: { network.reached(5, honest) }, limit: .seconds(20)))
    network.checkSafety()
  }

  /// What is committed at once is served at once, so an answer is as long as a commit at most.
  @Test func anAnswerOfTooManyBytesIsRefused() {
    let network = Network(4)
    // An empty block counts as 213.
    network.settings.bounds.commitBytes = 16 * 213
    CatchUpTests.grow(network, to: 32, on: [0, 1, 2])
    network.hasWork = false
    network.start(3)
    func answer(_ heights: ClosedRange<Int>) {
      let message = ConsensusMessage.chain(
        Array(network.nodes[0].chain[heights.lowerBound - 1...heights.upperBound - 1]),
        finalization: network.nodes[0].finalizations[UInt64(heights.upperBound)]!.value)
      network.step(3, .message(network.verified(message)!, from: network.nodes[0].signer.id))
    }
    answer(1...32)
    #expect(network.height(3) == 0)
    #expect(network.nodes[3].machine!.counters["chainGap"] == 1)
    answer(1...16)
    answer(17...32)
    #expect(network.height(3) == 32)
    #expect(network.nodes[3].machine!.counters["chainGap"] == 1)
    network.checkSafety()
  }

  /// A single block is committed and served however long it is.
  @Test func anAnswerOfOneBlockIsTaken() {
    let network = Network(4)
    network.settings.bounds.commitBytes = 1
    CatchUpTests.grow(network, to: 1, on: [0, 1, 2])
    network.hasWork = false
    network.startAll()
    #expect(network.run(until: { network.reached(1) }, limit: .seconds(2)))
    network.checkSafety()
  }
}
