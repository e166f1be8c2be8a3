import Core
import Ledger
import Primitives
import Wire

// Invariants 1, 4, 7, 8, 9 and 13: what is final.

extension Checker {
  /// How often, in blocks, every record of the state is checked against every other.
  static let auditInterval: UInt64 = 8

  /// An honest node made blocks final.
  mutating func committed(
    _ blocks: [Verified<Block>], finalization: Certificate, by number: Int, at now: Instant
  ) {
    saw(finalization, from: number, at: now)
    for block in blocks {
      let header = block.value.header
      if header.height == finalizedHeight + 1 {
        extend(block, at: now)
      } else if header.height == 0 || header.height > finalizedHeight {
        report(1, at: now, "n\(number + 1) made height \(header.height) final, and nobody the one before")
      } else if chain[Int(header.height) - 1].id != block.value.id {
        let other = chain[Int(header.height) - 1].id
        report(
          1, at: now, "height \(header.height) has two final blocks, \(other.short) and \(block.value.id.short)")
      }
    }
    guard let last = blocks.last?.value else { return }
    if finalization.subject.blockID != last.id {
      report(1, at: now, "n\(number + 1) made \(last.id.short) final by a certificate of another block")
    }
    checkGap(of: finalization.subject, to: nil, at: now)
  }

  /// The state that a node has at a height is the one that the checker has.
  mutating func holds(_ root: Digest, at height: UInt64, node number: Int, at now: Instant) {
    guard height > 0, height <= finalizedHeight else { return }
    if chain[Int(height) - 1].stateRoot != root {
      report(7, at: now, "n\(number + 1) has another state after block \(height) than the ledger gives")
    }
  }

  /// Invariant 7: snapshots of one height are the same bytes.
  mutating func snapshot(_ snapshot: StateSnapshot, node number: Int, at now: Instant) {
    holds(snapshot.stateRoot, at: snapshot.height, node: number, at: now)
    var mixer = Mixer()
    for chunk in snapshot.chunks { mixer.add(chunk.encoded) }
    let mark = mixer.halves.0
    if let other = snapshotMarks[snapshot.height], other != mark {
      report(7, at: now, "the snapshot of n\(number + 1) after block \(snapshot.height) has other bytes than another's")
    }
    snapshotMarks[snapshot.height] = mark
  }

  /// Invariant 4: between the parent's view and the block's, every view is nullified, and the parent was notarized in
  /// the view that is named. `parent`: what must have been notarized there; nil when it is the same block.
  private mutating func checkGap(of subject: VoteSubject, to parent: Digest?, at now: Instant) {
    guard subject.view > 0, subject.parentView < subject.view else { return }
    var view = subject.parentView + 1
    while view < subject.view, violations.isEmpty {
      let key = ViewKey(epoch: subject.epoch, view: view)
      if !nullified.contains(key) {
        report(
          4, at: now,
          "block \(subject.blockID.short) of view \(subject.view) is final and skips view \(key), which nobody nullified"
        )
      }
      view += 1
    }
    guard let parent, subject.parentView > 0 else { return }
    let key = ViewKey(epoch: subject.epoch, view: subject.parentView)
    if notarized[key] != parent {
      report(
        4, at: now,
        "block \(subject.blockID.short) is final on \(parent.short), which was not notarized in view \(key)")
    }
  }

  /// A height is final for the first time.
  private mutating func extend(_ block: Verified<Block>, at now: Instant) {
    let header = block.value.header
    let id = block.value.id
    let parentID = chain.last?.id ?? genesis.networkID
    if header.parentID != parentID {
      report(1, at: now, "block \(header.height) is final and its parent \(header.parentID.short) is not")
    }
    if header.epoch != epoch(of: header.height) {
      report(1, at: now, "block \(header.height) is final in epoch \(header.epoch)")
    }
    let isFirst = header.height == 1 || epoch(of: header.height - 1) != header.epoch
    if isFirst, header.parentView != 0 {
      report(4, at: now, "the first block of epoch \(header.epoch) names view \(header.parentView) as its parent's")
    }
    checkGap(
      of: .notarize(epoch: header.epoch, view: header.view, parentView: header.parentView, blockID: id),
      to: isFirst ? nil : parentID, at: now)
    guard let leader = leader(header.epoch, header.view) else {
      return report(
        1, at: now, "block \(header.height) is final in epoch \(header.epoch), whose committee nobody knows")
    }
    checkTurn(header, of: leader, at: now)
    let execution = reference.execute(block, leader: leader)
    guard case .success = execution else {
      return report(7, at: now, "block \(header.height) is final and does not execute: \(execution)")
    }
    let events = reference.finalize(id)
    chain.append((id, header.stateRoot))
    if reference.finalStateRoot != header.stateRoot {
      report(7, at: now, "block \(header.height) is final and its state root is not what the ledger gives")
    }
    checkEvidence(block.value, events, at: now)
    checkDraws(header, events, of: leader, at: now)
    guard let state = finalState else { return }
    checkCommittee(header, state, at: now)
    checkCredits(state, at: now)
    if let (number, detail) = jobs.check(state, events, at: now, numbers: numbers) {
      report(number, at: now, detail)
    }
  }

  /// Invariant 9, and nobody honest is slashed.
  private mutating func checkEvidence(_ block: Block, _ events: [LedgerEvent], at now: Instant) {
    for transaction in block.transactions {
      guard case .transaction(let body) = transaction.body, case .evidence(let evidence) = body.action else { continue }
      if let number = numbers[evidence.key], isHonest[number] {
        report(9, at: now, "evidence of a \(evidence.kind.name) names n\(number + 1), which is honest")
      }
    }
    for event in events {
      guard case .validatorSlashed(let node, _, _) = event, let number = numbers[node] else { continue }
      slashed.insert(number)
      if isHonest[number] {
        report(9, at: now, "n\(number + 1) is slashed, and is honest")
      }
    }
  }

  /// The committees that headers name are those that the ledger has.
  private mutating func checkCommittee(_ header: BlockHeader, _ state: LedgerReader, at now: Instant) {
    let parameters = genesis.parameters
    if header.height == (header.epoch + 1) * parameters.epochBlocks,
      let set = state.validatorSet(epoch: header.epoch + 2)
    {
      learn(set)
    }
    guard let next = sets[header.epoch + 1] else {
      return report(7, at: now, "the ledger does not know the committee of epoch \(header.epoch + 1)")
    }
    if ValidatorSet.digest(of: next.validators) != header.nextValidators {
      report(7, at: now, "block \(header.height) names another committee of the next epoch than the ledger")
    }
  }

  /// Invariant 8.
  private mutating func checkCredits(_ state: LedgerReader, at now: Instant) {
    let total = state.auditSum()
    if let before = totalMicrocredits, before != total {
      report(8, at: now, "there are \(total) microcredits, where there were \(before)")
    }
    totalMicrocredits = total
    guard state.height % Checker.auditInterval == 0 else { return }
    for text in state.inconsistencies().prefix(1) { report(8, at: now, text) }
  }
}
