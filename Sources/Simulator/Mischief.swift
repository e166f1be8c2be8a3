import Core
import Ledger
import Primitives
import Wire

// What Byzantine nodes do. Each wraps a real core: what that sends passes `rewrite`, what it receives `overhear`.

extension Simulation {
  private func chance(_ number: Int, percent: UInt64) -> Bool {
    actors[number]?.random.chance(partsPerMillion: percent * 10_000) ?? false
  }

  private func place(_ number: Int, below count: Int) -> Int { actors[number]?.random.index(below: count) ?? 0 }

  private func has(_ number: Int, _ habit: Habits) -> Bool { actors[number]?.has(habit) ?? false }

  /// What a Byzantine node sends to a peer instead of what its core says.
  func rewrite(_ message: LinkMessage, _ carried: Carried, from number: Int, to target: Int) -> [Carried] {
    guard case .consensus(let consensus) = message else {
      return has(number, .garbles) && chance(number, percent: 2) ? [garbled(carried, number)] : [carried]
    }
    if has(number, .snubs), (target + number) % 3 == 0, chance(number, percent: 80) { return [] }
    switch consensus {
    case .proposal(let block, let vote): return proposals(block, vote, carried, number, target)
    case .certificate:
      if has(number, .hoards), target != (number + 1) % nodes.count { return [] }
    case .vote(let vote):
      if has(number, .wanders), chance(number, percent: 10) { return [carried] + strayVotes(vote.subject, number) }
    case .chain, .blocks, .certificates, .epochs, .snapshot:
      if has(number, .lies), chance(number, percent: 50) { return lies(consensus, number) }
    case .blockRequest, .certificateRequest, .chainRequest, .epochRequest, .snapshotRequest, .relayRequest: break
    }
    return has(number, .garbles) && chance(number, percent: 3) ? [garbled(carried, number)] : [carried]
  }

  /// What comes in at a Byzantine node.
  func overhear(_ received: Received, at number: Int) {
    for case .consensus(let message, _) in received.inputs {
      for block in message.blocks { actors[number]?.remember(block.value) }
      for certificate in message.certificates { actors[number]?.remember(certificate.value) }
      guard has(number, .votesTwice), let subject = message.value.proposed else { continue }
      voteForAll(subject, number)
    }
  }

  /// A notarize and a finalize of a block, and at times a nullify of its view.
  private func voteForAll(_ subject: VoteSubject, _ number: Int) {
    guard let set = checker.set(of: subject.epoch) else { return }
    var subjects = [
      VoteSubject.notarize(
        epoch: subject.epoch, view: subject.view, parentView: subject.parentView, blockID: subject.blockID),
      VoteSubject.finalize(
        epoch: subject.epoch, view: subject.view, parentView: subject.parentView, blockID: subject.blockID),
    ]
    if chance(number, percent: 30) { subjects.append(.nullify(epoch: subject.epoch, view: subject.view)) }
    for subject in subjects {
      guard let vote = actors[number]?.firstVote(subject, in: set) else { continue }
      broadcast(.vote(vote), from: number)
    }
  }

  /// Sends a message of its own to all that it has a link to.
  private func broadcast(_ message: ConsensusMessage, from number: Int) {
    let carried = Carried(.consensus(message))
    for target in network.peers(of: number) { put(carried, from: number, to: target) }
  }

  // MARK: - Blocks

  private func proposals(
    _ block: Block, _ vote: Vote, _ carried: Carried, _ number: Int, _ target: Int
  ) -> [Carried] {
    if has(number, .withholds) { return [] }
    if has(number, .showsToQuorum), let set = checker.set(of: block.header.epoch) {
      // Itself and those that follow it.
      let distance = (target - number + nodes.count) % nodes.count
      if distance >= checker.quorum(of: set) { return [] }
    }
    // A block that is proposed again is not the leader's own.
    guard vote.subject.view == block.header.view else { return [carried] }
    if has(number, .misplaces), let misplaced = misplaced(block, number) { return misplaced }
    if has(number, .garbles), chance(number, percent: 30), let bad = invalid(block, number) { return [bad] }
    guard has(number, .equivocates), let (other, otherVote) = fork(of: block, number) else { return [carried] }
    let second = Carried(.consensus(.proposal(other, otherVote)))
    if actors[target] != nil { return [carried, second] }
    return target % 2 == 0 ? [carried] : [second]
  }

  /// Another valid block for the same view, and the vote for it.
  private func fork(of block: Block, _ number: Int) -> (Block, Vote)? {
    if let known = actors[number]?.forks[block.id] { return known }
    let made = makeFork(of: block, number)
    actors[number]?.forks[block.id] = .some(made)
    if let made { voteForAll(made.1.subject, number) }
    return made
  }

  private func makeFork(of block: Block, _ number: Int) -> (Block, Vote)? {
    let header = block.header
    guard var ledger = nodes[number].running?.core.ledger, let set = checker.set(of: header.epoch) else { return nil }
    let draft = BlockDraft(
      epoch: header.epoch, view: header.view, parentView: header.parentView,
      timestampMilliseconds: header.timestampMilliseconds + 1, reveal: header.reveal)
    guard
      let other = ledger.build(
        on: header.parentID, candidates: [], draft: draft, leader: nodes[number].id, maximumBytes: Block.maximumBytes),
      let vote = actors[number]?.vote(
        .notarize(
          epoch: header.epoch, view: header.view, parentView: header.parentView, blockID: other.block.value.id),
        in: set)
    else { return nil }
    return (other.block.value, vote)
  }

  /// A block that no ledger accepts, signed for as if it were sound.
  private func invalid(_ block: Block, _ number: Int) -> Carried? {
    var header = block.header
    var transactions = block.transactions
    switch place(number, below: 9) {
    case 0: header.stateRoot = Digest(hashing: [1])
    case 1: header.height += 1
    case 2: header.timestampMilliseconds += 3_600_000
    case 3: header.nextValidators = .zero
    case 4: header.reveal = Digest(hashing: [2])
    case 5: header.parentID = Digest(hashing: [3])
    case 6: header.timestampMilliseconds = 0
    case 7: transactions += transactions
    default: header.parentView = header.parentView > 0 ? header.parentView - 1 : header.parentView
    }
    header.transactionsRoot = Block.transactionsRoot(transactions.map(\.id))
    guard let bad = Block(header: header, transactions: transactions), let set = checker.set(of: header.epoch),
      let vote = actors[number]?.vote(
        .notarize(epoch: header.epoch, view: header.view, parentView: header.parentView, blockID: bad.id), in: set)
    else { return nil }
    return Carried(.consensus(.proposal(bad, vote)))
  }

  /// The block in a view that is not its own, and its vote for it in this one: as a proposal, or as the block that is
  /// asked for on account of the vote.
  private func misplaced(_ block: Block, _ number: Int) -> [Carried]? {
    var header = block.header
    let view = header.view
    header.view = [view + 1, view + 3, 1 << 40, 1 << 61, max(view, 2) - 1][place(number, below: 5)]
    header.parentView = min(header.parentView, header.view - 1)
    guard header.view != view, let bad = Block(header: header, transactions: block.transactions),
      let set = checker.set(of: header.epoch),
      let vote = actors[number]?.vote(
        .notarize(epoch: header.epoch, view: view, parentView: block.header.parentView, blockID: bad.id), in: set)
    else { return nil }
    if chance(number, percent: 50) { return [Carried(.consensus(.proposal(bad, vote)))] }
    return [Carried(.consensus(.vote(vote))), Carried(.consensus(.blocks([bad])))]
  }

  // MARK: - Other views, other answers

  private func strayVotes(_ subject: VoteSubject, _ number: Int) -> [Carried] {
    let ahead: [UInt64] = [1, 2, 50, 100_000, 1 << 61, 1 << 62, (1 << 62) + 5]
    let view =
      chance(number, percent: 50)
      ? subject.view &+ ahead[place(number, below: ahead.count)]
      : max(1, subject.view - min(subject.view, UInt64(place(number, below: 80))))
    let epoch = chance(number, percent: 70) ? subject.epoch : subject.epoch &+ UInt64(place(number, below: 3))
    guard let set = checker.set(of: epoch) ?? checker.set(of: subject.epoch) else { return [] }
    let blockID = actors[number]?.blocks.last?.id ?? .zero
    let subjects: [VoteSubject] = [
      .nullify(epoch: epoch, view: view),
      .notarize(epoch: epoch, view: view, parentView: view - 1, blockID: blockID),
      .finalize(epoch: epoch, view: view, parentView: view - 1, blockID: blockID),
    ]
    return [subjects[place(number, below: 3)]].compactMap { actors[number]?.vote($0, in: set) }
      .map { Carried(.consensus(.vote($0))) }
  }

  /// Something else than what was asked for.
  private func lies(_ message: ConsensusMessage, _ number: Int) -> [Carried] {
    switch place(number, below: 4) {
    case 0: return []
    case 1: return [garbled(Carried(.consensus(message)), number)]
    case 2:
      guard case .snapshot(let chunk) = message else { fallthrough }
      return [Carried(.consensus(.snapshot(wrong(chunk, number))))]
    default: return [nonsense(number)].compactMap { $0 }
    }
  }

  /// A chunk that lacks an entry, or has a changed one, or belongs elsewhere.
  private func wrong(_ chunk: SnapshotChunk, _ number: Int) -> SnapshotChunk {
    var entries = chunk.entries
    var siblings = chunk.siblings
    var height = chunk.height
    switch place(number, below: 4) {
    case 0: if !entries.isEmpty { entries.remove(at: place(number, below: entries.count)) }
    case 1:
      if !entries.isEmpty {
        let at = place(number, below: entries.count)
        entries[at] = SnapshotEntry(
          table: entries[at].table, key: entries[at].key, value: entries[at].value.reversed())
      }
    case 2: siblings = siblings.map { _ in .empty }
    default: height += 1
    }
    return SnapshotChunk(
      height: height, depth: chunk.depth, prefix: chunk.prefix, entries: entries, siblings: siblings)
  }

  /// Blocks, certificates or a request that nobody has a use for.
  private func nonsense(_ number: Int) -> Carried? {
    guard let actor = actors[number] else { return nil }
    switch place(number, below: 6) {
    case 0 where !actor.blocks.isEmpty:
      return Carried(.consensus(.blocks(Array(actor.blocks.prefix(ConsensusMessage.maximumRequestedBlocks)))))
    case 1 where !actor.certificates.isEmpty: return Carried(.consensus(.certificates(actor.certificates)))
    case 2: return Carried(.consensus(.chainRequest(fromHeight: UInt64(place(number, below: 1_000)))))
    case 3: return Carried(.consensus(.certificateRequest(from: 1, to: 60)))
    case 4: return Carried(.consensus(.relayRequest(epoch: 0, voters: [0, 1, 99])))
    default:
      let bytes = (0..<place(number, below: 200)).map { _ in UInt8(truncatingIfNeeded: place(number, below: 256)) }
      return Carried(bytes: bytes)
    }
  }

  /// The same bytes but for a few.
  private func garbled(_ carried: Carried, _ number: Int) -> Carried {
    var bytes = carried.bytes
    for _ in 0...place(number, below: 3) where !bytes.isEmpty {
      bytes[place(number, below: bytes.count)] ^= UInt8(1 << place(number, below: 8))
    }
    return Carried(bytes: bytes)
  }

  // MARK: - From time to time

  /// What a Byzantine node does of itself.
  func mischief(_ number: Int) {
    guard let actor = actors[number] else { return }
    let pause = Microseconds.milliseconds(200 + (actor.has(.accuses) ? 0 : Int64(place(number, below: 2_000))))
    queue.add(.mischief(node: number), at: now + pause)
    guard nodes[number].running != nil else { return }
    if actor.has(.forgets), !isCalm, chance(number, percent: 25) {
      transcript.note(now, "n\(number + 1) forgets what it voted for")
      crash(number)
      nodes[number].disk.loseJournal()
      return
    }
    if actor.has(.lies) || actor.has(.garbles), chance(number, percent: 50), let carried = nonsense(number) {
      for target in network.peers(of: number) { put(carried, from: number, to: target) }
    }
    if actor.has(.garbles), chance(number, percent: 30) { spoilTransactions(number) }
    if actor.has(.accuses) { accuseAll(number) }
  }

  /// Transactions that can't be included: of a future nonce, expired, or of more than the account holds.
  private func spoilTransactions(_ number: Int) {
    guard let state = checker.finalState else { return }
    let account = state.account(nodes[number].id)
    let kind = place(number, below: 3)
    let transaction = Transaction(
      nonce: account.nonce + (kind == 0 ? UInt64(1 + place(number, below: 9)) : 0),
      feeMicrocredits: genesis.parameters.minimumFeeMicrocredits,
      expiresMilliseconds: kind == 1 ? state.ledgerTimeMilliseconds : state.ledgerTimeMilliseconds + 60_000,
      action: .transfer(to: nodes[0].id, amountMicrocredits: kind == 2 ? .max : 1))
    guard let envelope = sealed(.transaction(transaction), by: number) else { return }
    let carried = Carried(.gossip(.publish([envelope])))
    for target in network.peers(of: number) { put(carried, from: number, to: target) }
  }

  /// Accuses all members that it knows, to all that it has a link to.
  private func accuseAll(_ number: Int) {
    guard let members = nodes[number].running?.core.membership.members else { return }
    let accusations = members.compactMap {
      sealed(.accusation(Accusation(accused: $0.id, incarnation: $0.incarnation)), by: number)
    }
    let carried = Carried(.members(accusations))
    for target in network.peers(of: number) { put(carried, from: number, to: target) }
  }

  private func sealed(_ body: MessageBody, by number: Int) -> Envelope? {
    actors[number]?.sealed(body, sequence: nodes[number].disk.sequenceMark + UInt64(now.microseconds))
  }
}

extension ConsensusMessage {
  /// What a proposal or a notarize is for.
  fileprivate var proposed: VoteSubject? {
    switch self {
    case .proposal(_, let vote): vote.subject
    case .vote(let vote) where vote.subject.kind == .notarize: vote.subject
    default: nil
    }
  }
}
