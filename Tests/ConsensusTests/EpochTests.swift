import Consensus
import Primitives
import Testing
import Wire

@Suite struct EpochTests {
  /// Epochs of four blocks; the validators are four of six nodes, others in each epoch, each with a key of its own for
  /// every epoch.
  static func changing(seed: UInt64 = 1) -> Network {
    var parameters = ChainParameters()
    parameters.epochBlocks = 4
    let network = Network(4, observers: 2, seed: seed, parameters: parameters)
    let networkID = network.networkID
    let nodes = network.nodes.map(\.signer.id)
    func key(_ index: Int, _ epoch: UInt64) -> Signer {
      let id = NodeID(Digest(hashing: Array("key \(index) of \(epoch)".utf8)).value)
      return Signer(id: id, networkID: networkID) { Network.sign($0, as: id) }
    }
    network.laterValidators = { epoch in
      guard epoch > 0 else { return nil }
      let members = (0..<4).map { ($0 + Int(epoch % 6)) % 6 }
      return ValidatorSet(
        epoch: epoch, validators: members.map { Validator(node: nodes[$0], key: key($0, epoch).id) })
    }
    network.voteSigner = { index, epoch in epoch > 0 ? key(index, epoch) : nil }
    return network
  }

  /// What holds of every chain of epochs.
  static func checkEpochs(_ network: Network) {
    for commit in network.commits {
      let header = commit.block.header
      #expect(header.epoch == (header.height - 1) / network.settings.epochBlocks)
    }
    for ended in network.epochsEnded {
      let last = network.commits.first { $0.block.id == ended.boundary.subject.blockID }!.block.header
      #expect(last.epoch == ended.epoch && last.height == (ended.epoch + 1) * network.settings.epochBlocks)
    }
  }

  @Test func epochFollowsEpochAndTheValidatorsChange() {
    let network = EpochTests.changing()
    network.startAll()
    #expect(network.run(until: { network.reached(26) }, limit: .seconds(30)))
    network.checkSafety()
    EpochTests.checkEpochs(network)
    // Views begin anew, and each epoch's own validators sign.
    for epoch in 1...5 as ClosedRange<UInt64> {
      #expect(network.commits.contains { $0.block.header.epoch == epoch && $0.block.header.view == 1 })
      let voters = Set(network.votesSent.filter { $0.vote.subject.epoch == epoch }.map(\.node))
      #expect(voters == Set((0..<4).map { ($0 + Int(epoch)) % 6 }))
    }
    // No view was lost at an end.
    #expect(!network.votesSent.contains { $0.vote.subject.kind == .nullify })
  }

  /// In up to `rounds` views of each epoch's last block two validators miss the notarization until they have nullified,
  /// while the other two vote to finalize: neither can ever have a quorum.
  static func split(_ network: Network, rounds: Int) -> () -> [UInt64: OrderedSet<UInt64>] {
    var views: [UInt64: OrderedSet<UInt64>] = [:]
    var nullified: Set<[UInt64]> = []
    network.watch = { from, message, _ in
      switch message {
      case .proposal(let block, let vote) where block.header.height % network.settings.epochBlocks == 0:
        let subject = vote.subject
        if (views[subject.epoch]?.count ?? 0) < rounds {
          views[subject.epoch, default: OrderedSet()].insert(subject.view)
        }
      case .vote(let vote) where vote.subject.kind == .nullify:
        nullified.insert([vote.subject.epoch, vote.subject.view, UInt64(from)])
      default: break
      }
    }
    network.cuts = { _, to, message in
      let subjects: [VoteSubject] =
        switch message {
        case .vote(let vote): [vote.subject]
        case .certificate(let certificate): [certificate.subject]
        case .certificates(let certificates): certificates.map(\.subject)
        default: []
        }
      return subjects.contains { subject in
        let set = network.set(subject.epoch)
        guard subject.kind == .notarize, views[subject.epoch]?.contains(subject.view) == true,
          let index = set.index(of: network.nodes[to].signer.id), index < 2
        else { return false }
        return !nullified.contains([subject.epoch, subject.view, UInt64(to)])
      }
    }
    return { views }
  }

  @Test(arguments: [1, 2, 3])
  func theLastBlockIsProposedAgainUntilItIsFinal(rounds: Int) {
    let network = EpochTests.changing()
    let views = EpochTests.split(network, rounds: rounds)
    network.startAll()
    #expect(network.run(until: { network.reached(18) }, limit: .seconds(200)))
    network.checkSafety()
    EpochTests.checkEpochs(network)
    for epoch in 0...3 as ClosedRange<UInt64> {
      #expect(views()[epoch]?.count == rounds)
      // The first such view is split; in a later one the leader may be one of those that come late, and it is nullified.
      if let view = views()[epoch]?.first {
        let kinds = network.votesSent.filter { $0.vote.subject.epoch == epoch && $0.vote.subject.view == view }.map(
          \.vote.subject.kind)
        #expect(kinds.contains(.finalize) && kinds.contains(.nullify), "view \(view) of epoch \(epoch) was not split")
      }
      guard let boundary = network.epochsEnded.first(where: { $0.epoch == epoch })?.boundary,
        let last = network.commits.first(where: { $0.block.id == boundary.subject.blockID })?.block
      else {
        Issue.record("epoch \(epoch) did not end")
        return
      }
      #expect(boundary.subject.view > last.header.view)
      #expect(boundary.subject.view >= (views()[epoch]?.first ?? 0) + UInt64(rounds))
      #expect(boundary.subject.parentView >= last.header.view)
    }
  }

  /// Everyone crashes while the last block is certified and nothing can finalize it; again and again.
  @Test func allRestartedAtAnEpochsEnd() {
    let network = EpochTests.changing()
    _ = EpochTests.split(network, rounds: 2)
    network.diskDelay = .milliseconds(2)
    network.startAll()
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<40 {
      network.run(for: generator.span(upTo: .milliseconds(900)))
      for index in network.nodes.indices { network.crash(index) }
      network.startAll()
    }
    network.cuts = { _, _, _ in false }
    let height = network.nodes.indices.map { network.height($0) }.max()!
    #expect(network.run(until: { network.reached(height + 10) }, limit: .seconds(60)))
    #expect(network.epochsEnded.contains { $0.epoch >= 2 })
    network.checkSafety()
    EpochTests.checkEpochs(network)
  }

  /// An old block may be proposed again only on the view that certified it last.
  @Test(arguments: [true, false]) func aBlockIsProposedAgainOnWhatCertifiedIt(isSound: Bool) {
    var parameters = ChainParameters()
    parameters.epochBlocks = 4
    let network = Network(4, parameters: parameters)
    let leader = network.leader(of: 2)
    let honest = (0..<4).filter { $0 != leader }
    network.cuts = { _, _, message in
      if case .vote(let vote) = message { return vote.subject.kind == .finalize }
      return false
    }
    for index in honest { network.start(index) }
    #expect(network.run(until: { honest.allSatisfy { network.nodes[$0].machine?.view == 2 } }, limit: .seconds(1)))
    let first = network.recentBlocks[0]
    let again = VoteSubject.notarize(epoch: 0, view: 2, parentView: isSound ? 1 : 0, blockID: first.id)
    network.inject(.proposal(first, network.vote(again, by: leader).value), as: leader, to: honest)
    network.run(for: .milliseconds(100))
    #expect(network.votesSent.contains { $0.vote.subject == again } == isSound)
    #expect(network.votesSent.contains { $0.vote.subject == .nullify(epoch: 0, view: 2) } != isSound)
    for index in honest {
      #expect(network.nodes[index].machine!.counters["proposalInvalid"] == (isSound ? 0 : 1))
    }
    network.cuts = { _, _, _ in false }
    #expect(network.run(until: { network.reached(9, honest) }, limit: .seconds(20)))
    network.checkSafety(byzantine: [leader])
  }

  /// An honest leader may not know yet that a block is final.
  @Test func aFinalBlockProposedAgainIsNoFault() {
    let network = Network(4)
    let leader = network.leader(of: 2)
    let honest = (0..<4).filter { $0 != leader }
    for index in honest { network.start(index) }
    #expect(network.run(until: { network.reached(1, honest) }, limit: .seconds(1)))
    let first = network.recentBlocks[0]
    let again = VoteSubject.notarize(epoch: 0, view: 2, parentView: 1, blockID: first.id)
    network.inject(.proposal(first, network.vote(again, by: leader).value), as: leader, to: honest)
    network.run(for: .milliseconds(100))
    for index in honest {
      #expect(network.nodes[index].machine!.counters["proposalOfFinalView"] == 1)
      #expect(network.nodes[index].machine!.counters["proposalInvalid"] == 0)
    }
    #expect(network.votesSent.contains { $0.vote.subject == .nullify(epoch: 0, view: 2) })
    #expect(network.run(until: { network.reached(5, honest) }, limit: .seconds(20)))
    network.checkSafety(byzantine: [leader])
  }

  enum Forgery: CaseIterable {
    /// Another block of the last height, named as if the view had certified it.
    case anotherBlock
    /// The last block, on a view that certified its parent.
    case anotherParent
    /// A block on the last one.
    case aboveTheLast
  }

  @Test(arguments: Forgery.allCases)
  func aForgedRepetitionIsNullifiedAtOnce(forgery: Forgery) {
    var parameters = ChainParameters()
    parameters.epochBlocks = 4
    let network = Network(7, parameters: parameters)
    let liar = network.leader(of: 5)
    let honest = (0..<7).filter { $0 != liar }
    // The last block is certified in view 4, and not final.
    network.cuts = { _, _, message in
      if case .vote(let vote) = message { return vote.subject.kind == .finalize && vote.subject.view == 4 }
      return false
    }
    for index in honest { network.start(index) }
    #expect(network.run(until: { honest.allSatisfy { network.nodes[$0].machine?.view == 5 } }, limit: .seconds(2)))
    let last = network.recentBlocks.first { $0.header.height == 4 }!
    #expect(last.header.view == 4 && network.nodes[honest[0]].machine!.workParent == last.id)
    var block = last
    var parentView: UInt64 = 4
    switch forgery {
    case .anotherBlock, .aboveTheLast:
      var header = last.header
      header.timestampMilliseconds += 1
      if forgery == .aboveTheLast {
        (header.view, header.height, header.parentID, header.parentView) = (5, 5, last.id, 4)
      }
      header.stateRoot = network.nextState(network.knownState(header.parentID)!, header)
      block = Block(header: header, transactions: [])!
    case .anotherParent: parentView = 3
    }
    let subject = VoteSubject.notarize(epoch: 0, view: 5, parentView: parentView, blockID: block.id)
    network.inject(.proposal(block, network.vote(subject, by: liar).value), as: liar, to: honest)
    network.run(for: .milliseconds(30))
    #expect(!network.votesSent.contains { $0.vote.subject == subject })
    #expect(network.votesSent.filter { $0.vote.subject == .nullify(epoch: 0, view: 5) }.count == 6)
    #expect(network.run(until: { network.reached(9, honest) }, limit: .seconds(20)))
    #expect(network.commits.contains { $0.block.id == last.id })
    network.checkSafety(byzantine: [liar])
    EpochTests.checkEpochs(network)
  }

  @Test(arguments: [false, true])
  func aNodeEpochsBehindCatchesUp(isQuiet: Bool) {
    let network = EpochTests.changing()
    // Epoch 0 leaves out 4 and 5, which are behind; epoch 1 leaves out 0 and 5: four is missed then, and later.
    let late = 5
    for index in 0..<5 { network.start(index) }
    let others = Array(0..<5)
    #expect(network.run(until: { network.reached(29, others) }, limit: .seconds(60)))
    if isQuiet {
      network.setWork(false)
      network.run(for: .milliseconds(500))
    }
    let height = network.height(0)
    var requests = 0
    network.watch = { from, message, _ in
      if case .chainRequest = message, from == late { requests += 1 }
    }
    network.start(late)
    #expect(network.run(until: { network.reached(height, [late]) }, limit: .seconds(3)))
    // One answer an epoch is needed; the rest is asked in vain, at an end or beyond the last block.
    #expect(requests < 60)
    network.setWork(true)
    #expect(network.run(until: { network.reached(height + 20) }, limit: .seconds(30)))
    network.checkSafety()
    EpochTests.checkEpochs(network)
    #expect(network.votesSent.contains { $0.node == late })
  }

  /// Stuck in an old epoch, while everyone else is in the next and says nothing by itself.
  @Test func whoIsStuckInAnOldEpochIsAnswered() {
    var parameters = ChainParameters()
    parameters.epochBlocks = 4
    let network = Network(4, parameters: parameters)
    network.startAll()
    #expect(network.run(until: { network.reached(2) }, limit: .seconds(5)))
    network.cuts = { _, to, _ in to == 3 }
    #expect(network.run(until: { network.reached(5, [0, 1, 2]) }, limit: .seconds(10)))
    network.setWork(false)
    network.run(for: .milliseconds(500))
    #expect(network.nodes[3].machine?.epoch == 0 && network.nodes[0].machine?.epoch == 1)
    var answers = 0
    network.watch = { from, message, _ in
      if case .certificate(let certificate) = message, from != 3, certificate.subject.epoch == 0 { answers += 1 }
    }
    network.cuts = { _, _, _ in false }
    // Its own nullify tells where it is.
    network.step(3, .work(isPending: true))
    #expect(network.run(until: { network.reached(5) }, limit: .seconds(4)))
    #expect((1...6).contains(answers))
    network.checkSafety()
  }

  @Test func whoseVoteKeyIsAnotherFollowsWithoutVoting() {
    let network = Network(4)
    let stranger = Network.signer(99, networkID: network.networkID)
    network.voteSigner = { index, _ in index == 2 ? stranger : nil }
    network.startAll()
    #expect(network.run(until: { network.reached(10) }, limit: .seconds(60)))
    #expect(!network.nodes[2].machine!.isVoting)
    #expect(!network.votesSent.contains { $0.node == 2 })
    network.checkSafety()
  }
}
