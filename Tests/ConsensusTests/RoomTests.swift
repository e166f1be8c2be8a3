import Consensus
import Primitives
import Testing
import Wire

/// How much may lie above the last final block, and that it never stays full.
@Suite struct RoomTests {
  /// A block of any view, that nobody can execute.
  func block(view: UInt64, parentID: Digest, parentView: UInt64, salt: UInt64) -> Block {
    let header = BlockHeader(
      epoch: 0, view: view, height: 1, parentID: parentID, parentView: parentView,
      timestampMilliseconds: 900_000 + salt, transactionsRoot: Block.transactionsRoot([]), stateRoot: .zero,
      nextValidators: .zero, reveal: .zero)
    return Block(header: header, transactions: [])!
  }

  enum Way: CaseIterable {
    /// As a proposal.
    case proposal
    /// A vote for it alone, and then the block as if it had been asked for.
    case voteAndBlocks
    /// As the made-up parent of a proposal.
    case parent
  }

  /// A leader whose blocks are of a view that never comes.
  @Test(arguments: Way.allCases)
  func blocksOfAFarViewDoNotStay(way: Way) {
    let network = Network(4)
    let byzantine = 3
    let honest = [0, 1, 2]
    // The view before each of the faulty leader's is nullified, so that nothing is known to be certified in it.
    network.cuts = { _, _, message in
      guard case .vote(let vote) = message, vote.subject.kind == .notarize else { return false }
      return network.leader(of: vote.subject.view + 1) == byzantine
    }
    for index in honest { network.start(index) }
    var lastView: UInt64 = 0
    for turn in 0..<70 as Range<UInt64> {
      #expect(
        network.run(
          until: {
            let view = network.nodes[0].machine!.view
            return view > lastView && network.leader(of: view) == byzantine
          }, limit: .seconds(60)))
      lastView = network.nodes[0].machine!.view
      let far = block(view: 1 << 61, parentID: network.networkID, parentView: 0, salt: turn)
      let proposed =
        way == .parent ? block(view: lastView, parentID: far.id, parentView: lastView - 1, salt: turn) : far
      let subject = VoteSubject.notarize(epoch: 0, view: lastView, parentView: lastView - 1, blockID: proposed.id)
      let vote = network.vote(subject, by: byzantine).value
      switch way {
      case .proposal: network.inject(.proposal(proposed, vote), as: byzantine, to: honest)
      case .voteAndBlocks:
        network.inject(.vote(vote), as: byzantine, to: honest)
        network.inject(.blocks([proposed]), as: byzantine, to: honest)
      case .parent:
        network.inject(.proposal(proposed, vote), as: byzantine, to: honest)
        network.inject(.blocks([far]), as: byzantine, to: honest)
      }
    }
    network.cuts = { _, _, _ in false }
    let height = network.height(0)
    #expect(network.run(until: { network.reached(height + 10, honest) }, limit: .seconds(60)))
    network.checkSafety(byzantine: [byzantine])
    #expect((network.nodes[0].machine!.counters["blockViewOutOfRange"] > 0) == (way != .proposal))
    let blocks = network.nodes[0].machine!.occupancy.first { $0.name == "blocks" }
    #expect((blocks?.count ?? 0) < 8)
  }

  /// In view after view a proposal, and no quorum for it.
  @Test func proposalsThatCameToNothingMakeRoomForTheLeader() {
    var parameters = ChainParameters()
    parameters.deltaCapMilliseconds = 500
    let network = Network(4, parameters: parameters)
    network.settings.bounds.openBlocks = 6
    network.cuts = { _, _, message in
      switch message {
      case .vote(let vote): vote.subject.kind == .notarize
      default: false
      }
    }
    network.startAll()
    #expect(network.run(until: { network.nodes[0].machine!.view > 20 }, limit: .seconds(200)))
    network.cuts = { _, _, _ in false }
    #expect(network.run(until: { network.reached(5) }, limit: .seconds(20)))
    network.checkSafety()
  }

  /// The votes on each of `count` blocks are such that it can never be final: one nullify, one finalize withheld for
  /// ever. Node 3 took part and is gone.
  func unfinishable(_ network: Network, count: UInt64) {
    var parent: Block?
    for view in 1...count {
      let block = network.block(view: view, on: parent)
      let notarize = network.notarize(block)
      let finalize = VoteSubject.finalize(
        epoch: 0, view: view, parentView: block.header.parentView, blockID: block.id)
      let notarization = network.certificate(notarize, by: [0, 1, 3])
      for index in 0..<4 {
        let own =
          index == 3 ? [notarize] : index == 2 ? [VoteSubject.nullify(epoch: 0, view: view)] : [notarize, finalize]
        network.nodes[index].journal += own.map { .ownVote(network.vote($0, by: index).value) }
        network.nodes[index].journal += [.certificate(notarization), .certified(block)]
      }
      parent = block
    }
  }

  @Test(arguments: [3, 63, 64] as [UInt64])
  func blocksThatCanNeverBeFinalAreFinalByTheOneAboveOrByTheirOwnProposedAgain(count: UInt64) {
    let network = Network(4)
    unfinishable(network, count: count)
    for index in 0..<3 { network.start(index) }
    #expect(network.run(until: { network.reached(Int(count) + 70, [0, 1, 2]) }, limit: .seconds(400)))
    network.checkSafety()
    network.start(3)
    network.run(for: .seconds(2))
    #expect(network.height(3) + 4 >= network.height(0))
  }

  /// Transactions that leave less room in a block than the shortest of them takes.
  func fullest(_ network: Network) -> [Verified<Message>] {
    func transaction(leases: Int) -> Verified<Message> {
      let commitments = (0..<leases).map {
        LeaseCommitment(lease: Digest(hashing: [UInt8($0)]), commitment: .zero)
      }.sorted { $0.lease < $1.lease }
      return network.nodes[0].signer.seal(
        .transaction(
          Transaction(
            nonce: 0, feeMicrocredits: 1, expiresMilliseconds: 2_000_000, action: .commitResults(commitments))),
        sequence: 1)
    }
    let longest = transaction(leases: TransactionAction.maximumLeases)
    let shortest = transaction(leases: 1)
    var room = Block.maximumBytes - 200
    var all: [Verified<Message>] = []
    for one in [longest, shortest] {
      let length = one.value.envelope.encoded.count
      all += [Verified<Message>](repeating: one, count: room / length)
      room %= length
    }
    return all
  }

  /// Above two blocks that can't be final there is room for one block, just; and the leader fills it.
  @Test func aBlockFilledToTheLastByteIsNotarized() throws {
    let network = Network(4)
    unfinishable(network, count: 2)
    // What an empty block is counted as.
    network.settings.bounds.commitBytes = Block.maximumBytes + 2 * 213
    network.transactions = fullest(network)
    for index in 0..<3 { network.start(index) }
    let isFinal = network.run(until: { network.reached(3, [0, 1, 2]) }, limit: .seconds(2))
    // Not within the macro, which takes a minute to print such a network.
    try #require(isFinal)
    let length = network.recentBlocks[0].encoded.count
    #expect(length <= Block.maximumBytes && length > Block.maximumBytes - 400)
    for index in 0..<3 { #expect(network.nodes[index].machine!.counters["proposedAgain"] == 0) }
    network.transactions = []
    #expect(network.run(until: { network.reached(10, [0, 1, 2]) }, limit: .seconds(10)))
    network.checkSafety()
  }

  /// Node 0 alone holds as many certified blocks as may be, one beside the other, and is in the view that this gives. It
  /// and the next are led by others.
  func besideEachOther(_ network: Network, count: Int) -> (blocks: [Block], view: UInt64) {
    network.settings.bounds.openBlocks = count
    let blocks = (1...UInt64(count)).map { network.block(view: $0) }
    for block in blocks {
      network.nodes[0].journal += [
        .certificate(network.certificate(network.notarize(block), by: [1, 2, 3])), .certified(block),
      ]
    }
    let view = (UInt64(count) + 1...40).first { network.leader(of: $0) != 0 && network.leader(of: $0 + 1) != 0 }!
    for below in 1..<view { network.nodes[0].journal.append(.certificate(nullification(network, below))) }
    network.start(0)
    return (blocks, view)
  }

  func nullification(_ network: Network, _ view: UInt64) -> Certificate {
    network.certificate(.nullify(epoch: 0, view: view), by: [1, 2, 3])
  }

  /// The leader proposes to node 0, which notarizes at once.
  func propose(_ network: Network, _ block: Block, _ subject: VoteSubject) {
    let leader = network.leader(of: subject.view)
    network.inject(.proposal(block, network.vote(subject, by: leader).value), as: leader, to: [0])
    network.run(for: .milliseconds(50))
    #expect(network.votesSent.contains { $0.node == 0 && $0.vote.subject == subject })
  }

  /// A certified block beside the highest made room, and then a leader who does not know of that one proposes it again.
  @Test func aDroppedBlockProposedAgainIsNotarizedAtOnce() {
    let network = Network(4)
    let (blocks, view) = besideEachOther(network, count: 2)
    let next = network.block(view: view, on: blocks[1])
    propose(network, next, network.notarize(next))
    #expect(network.nodes[0].machine!.counters["blockMadeRoom"] == 1)
    network.inject(.certificate(nullification(network, view)), as: 1, to: [0])
    network.run(for: .milliseconds(50))
    propose(network, blocks[0], .notarize(epoch: 0, view: view + 1, parentView: 1, blockID: blocks[0].id))
    network.checkSafety()
  }

  /// What came last is the likeliest to be wanted.
  @Test func theOldestBlockThatNothingLiesOnMakesRoom() {
    let network = Network(4)
    let (blocks, view) = besideEachOther(network, count: 3)
    let next = network.block(view: view, on: blocks[2])
    propose(network, next, network.notarize(next))
    var held: [Digest] = []
    network.watch = { _, message, _ in
      if case .blocks(let blocks) = message { held += blocks.map(\.id) }
    }
    let request = network.verified(.blockRequest(blocks.map(\.id)))!
    network.step(0, .message(request, from: network.nodes[1].signer.id))
    #expect(held == [blocks[1].id, blocks[2].id])
  }

  /// The store lost what the journal still has: two hundred blocks, each with its finalization.
  @Test func aLongRecoveredChainIsCommittedInPieces() {
    let network = Network(4)
    network.startAll()
    #expect(network.run(until: { network.reached(200) }, limit: .seconds(100)))
    for index in 0..<4 { loseStore(network, index) }
    network.isUnlinked = { _, _ in true }
    let height = network.commits.count / 4
    network.start(0)
    network.run(for: .milliseconds(1))
    #expect(network.height(0) + 4 >= height)
    // Each height is served.
    var gap = 0
    for height in 1...UInt64(network.height(0)) {
      gap = network.nodes[0].finalizations[height] == nil ? gap + 1 : 0
      #expect(gap < ConsensusMessage.maximumChainBlocks)
    }
    network.checkSafety()
  }

  /// The same, and of the finalizations only the last is left: the others know those between.
  @Test func aLongRecoveredChainWithoutFinalizationsIsAskedFor() {
    let network = Network(4)
    network.startAll()
    #expect(network.run(until: { network.reached(200) }, limit: .seconds(100)))
    loseStore(network, 0)
    let last = network.nodes[0].journal.lastIndex { isFinalization($0) }
    network.nodes[0].journal = network.nodes[0].journal.enumerated().filter {
      $0.offset == last || !isFinalization($0.element)
    }.map(\.element)
    network.start(0)
    #expect(network.run(until: { network.reached(200, [0]) }, limit: .seconds(10)))
    network.checkSafety()
  }

  func loseStore(_ network: Network, _ index: Int) {
    network.crash(index)
    network.nodes[index].chain = []
    network.nodes[index].finalizations = [:]
    network.nodes[index].states = [network.networkID: network.networkID]
  }

  func isFinalization(_ record: ConsensusRecord) -> Bool {
    if case .certificate(let certificate) = record { certificate.subject.kind == .finalize } else { false }
  }

  @Test func aBlockAskedForManyTimesIsSentOnce() {
    let network = Network(4)
    network.cuts = { _, _, message in
      if case .vote(let vote) = message { vote.subject.kind == .finalize } else { false }
    }
    network.startAll()
    #expect(network.run(until: { network.nodes[0].machine!.view > 3 }, limit: .seconds(10)))
    let id = network.nodes[0].machine!.certifiedTip.blockID
    var sent = 0
    network.watch = { from, message, _ in
      if from == 0, case .blocks = message { sent += 1 }
    }
    let request = network.verified(.blockRequest([Digest](repeating: id, count: 16)))!
    network.step(0, .message(request, from: network.nodes[1].signer.id))
    #expect(sent == 1)
  }
}
