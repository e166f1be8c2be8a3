"""The faults that mutants.py plants: what each is, and the text that becomes it.

An edit is a file below Sources, a text that occurs there exactly once, and what replaces it. `PLANTED` in a replacement
is true when the fault is chosen and false otherwise: with it false the replacement does what the text did. Edits of
different faults may be in one file, not in one text.
"""

HOSTILE = ()
ONE_BYZANTINE = ("--nodes", "4", "--byzantine", "1")


def scenario(name):
    return ("--scenario", name)


MOST_SEEDS = 40


class Fault:
    """`seeds` are tried first: those that found it before. `cost` orders the faults, the dear ones first."""

    def __init__(self, name, rule, what, *edits, seeds=(), options=HOSTILE, cost=1):
        self.name, self.rule, self.what, self.edits = name, rule, what, edits
        self.hints, self.options, self.cost = tuple(seeds), tuple(options), cost

    def seeds(self):
        return [*self.hints, *(seed for seed in range(1, MOST_SEEDS + 1) if seed not in self.hints)]


FAULTS = [
    # Consensus, rule by rule (Sources/Consensus/Rules.swift)
    Fault(
        "enters-on-few-nullifies", "1", "enters the next view on f+1 nullifies, without their certificate",
        ("Consensus/Voting.swift", "    case .new: break\n", """    case .new:
      if PLANTED, subject.kind == .nullify, (views[subject.view]?.nullifies.count ?? 0) > validators.faults {
        highestPassed = max(highestPassed, subject.view)
      }
""")),
    Fault(
        "proposes-twice", "2", "the leader proposes a second block in its view",
        ("Consensus/Proposing.swift", "guard canSign, isLeading, buildAskedForView < view else { return false }",
         """if PLANTED, canSign, isLeading, buildAskedForView == view, now > enteredAt + settings.blockIntervalMinimum * 2,
      views[view]?.ownVotes.count == 1
    {
      return true
    }
    guard canSign, isLeading, buildAskedForView < view else { return false }"""),
        ("Consensus/Proposing.swift", "guard built == view, buildAskedForView == view, views[view]?.ownVotes.isEmpty ?? true else {",
         "guard built == view, buildAskedForView == view, PLANTED || views[view]?.ownVotes.isEmpty ?? true else {"),
        ("Consensus/ViewState.swift", "case .notarize: ownVote(.notarize) == nil && ownVote(.nullify) == nil",
         "case .notarize: (PLANTED || ownVote(.notarize) == nil) && ownVote(.nullify) == nil")),
    Fault(
        "skipped-views-unchecked", "2, 3", "builds on the last final block, and notarizes although views between are not nullified",
        ("Consensus/Proposing.swift", "      if let found = certified(in: below) { return found }",
         "      if !PLANTED, let found = certified(in: below) { return found }"),
        ("Consensus/Proposing.swift", "      guard views[below]?.nullification != nil else { return nil }",
         "      guard PLANTED || views[below]?.nullification != nil else { return nil }"),
        ("Consensus/Proposing.swift", "      guard views[next]?.nullification != nil else { return false }",
         "      guard PLANTED || views[next]?.nullification != nil else { return false }")),
    Fault(
        "missing-blocks-not-fetched", "3", "asks for no block that is missing",
        ("Consensus/CatchingUp.swift", "    let ids = missingBlocks\n    guard !ids.isEmpty", "    let ids = missingBlocks\n    guard !PLANTED, !ids.isEmpty")),
    Fault(
        "finalizes-after-nullify", "4", "finalizes a view that it has nullified",
        ("Consensus/Certifying.swift", "guard !state.hasLeaderEquivocated, state.ownVote(.nullify) == nil, state.ownVote(.finalize) == nil,",
         "guard !state.hasLeaderEquivocated, PLANTED || state.ownVote(.nullify) == nil, state.ownVote(.finalize) == nil,"),
        ("Consensus/ViewState.swift", "case .finalize: ownVote(.finalize) == nil && ownVote(.nullify) == nil",
         "case .finalize: ownVote(.finalize) == nil && (PLANTED || ownVote(.nullify) == nil)")),
    Fault(
        "nullifies-after-finalize", "5", "nullifies the view that it has just finalized, when the next is stuck",
        ("Consensus/Nullifying.swift", "    cast(.nullify(epoch: epoch, view: view))\n",
         """    cast(.nullify(epoch: epoch, view: view))
    if PLANTED, view > knownFinalView + 1, views[view - 1]?.ownVote(.finalize) != nil {
      cast(.nullify(epoch: epoch, view: view - 1))
    }
"""),
        ("Consensus/ViewState.swift", "case .nullify: ownVote(.nullify) == nil && ownVote(.finalize) == nil",
         "case .nullify: ownVote(.nullify) == nil && (PLANTED || ownVote(.finalize) == nil)")),
    Fault(
        "never-gives-up", "5", "does not nullify a view whose leader proposes nothing",
        ("Consensus/Nullifying.swift", "    guard let timersStartedAt else { return nil }",
         "    guard let timersStartedAt, !PLANTED else { return nil }")),
    Fault(
        "nullification-one-short", "6", "assembles a nullification of one vote too few",
        ("Consensus/Voting.swift", "state.quorum(for: subject, of: validators.quorum)",
         "state.quorum(\n        for: subject, of: validators.quorum - (PLANTED && subject.kind == .nullify ? 1 : 0))")),
    Fault(
        "commits-what-is-notarized", "7", "takes a notarization for a finalization",
        ("Consensus/Certifying.swift", "      if certifiedAt[subject.view] == nil, !refused.contains(subject.view) {",
         """      if PLANTED, subject.view > target?.value.subject.view ?? 0 { target = certificate }
      if certifiedAt[subject.view] == nil, !refused.contains(subject.view) {""")),
    Fault(
        "commits-without-ancestors", "7", "commits a final block and not the blocks below it",
        ("Consensus/Finalizing.swift", ".commit(path.map(\\.block), finalization: finalization)",
         ".commit(PLANTED ? [last.block] : path.map(\\.block), finalization: finalization)")),
    Fault(
        "silent-at-standstill", "5, 8", "says nothing again, however long nothing becomes final",
        ("Consensus/Nullifying.swift", "    for message in sharedMessages() { send(message, to: .validators(except: [])) }",
         "    if PLANTED { return }\n    for message in sharedMessages() { send(message, to: .validators(except: [])) }"),
        ("Consensus/Nullifying.swift", "guard let own = views[view]?.ownVote(.nullify) else { return }",
         "guard let own = views[view]?.ownVote(.nullify), !PLANTED else { return }"), options=scenario("standstill")),
    Fault(
        "timeouts-never-grow", "9", "Δ stays what it was at first",
        ("Consensus/ConsensusSettings.swift", "    while steps > 1, value < deltaCap {", "    while steps > 1, value < deltaCap, !PLANTED {"),
        options=scenario("slow-network")),
    Fault(
        "waits-for-the-silent", "9", "a leader that nobody has heard of for long is waited for",
        ("Consensus/ViewEntry.swift", "    guard leader != ownIndex, view > settings.silentViews", "    guard !PLANTED, leader != ownIndex, view > settings.silentViews"),
        options=scenario("one-way-leader")),
    Fault(
        "one-leader-for-ever", "10", "the same validator leads every view",
        ("Consensus/LeaderSchedule.swift", "    return order[Int((epoch % count + view % count) % count)]",
         "    return order[PLANTED ? 0 : Int((epoch % count + view % count) % count)]"), options=ONE_BYZANTINE, seeds=(13,)),
    Fault(
        "idle-leader-waits-for-ever", "11", "a leader without work never proposes",
        ("Consensus/Proposing.swift", "max(earliest, enteredAt + settings.blockIntervalIdle)",
         "max(earliest, PLANTED ? .distantFuture : enteredAt + settings.blockIntervalIdle)"), options=ONE_BYZANTINE, seeds=(17,)),
    Fault(
        "never-idle", "11", "a leader proposes at once, work or not",
        ("Consensus/Proposing.swift", "let due = isWorkPending ?", "let due = isWorkPending || PLANTED ?"), options=scenario("idle-views")),
    Fault(
        "timestamps-unchecked", "12", "notarizes a block from however far ahead of the own clock",
        ("Consensus/Notarizing.swift", "    guard header.timestampMilliseconds > limit else { return true }",
         "    guard header.timestampMilliseconds > limit, !PLANTED else { return true }"), options=scenario("fast-clock")),
    Fault(
        "says-it-to-two", "13", "what is for all validators goes to the first two",
        ("Core/NodeCore.swift", "for peer in validators.members where peer != id && links",
         "for peer in validators.members.prefix(PLANTED ? 2 : 100) where peer != id && links")),
    Fault(
        "relays-not-asked-for", "13", "who lacks a link asks nobody to relay",
        ("Consensus/Relaying.swift", "      sendAtOnce(.relayRequest(epoch: epoch, voters: missing), to: .node(peer))",
         "      if !PLANTED { sendAtOnce(.relayRequest(epoch: epoch, voters: missing), to: .node(peer)) }"), options=scenario("ring")),
    Fault(
        "relays-asked-for-once", "13", "relays are asked for once and not again when the grant ends",
        ("Consensus/Relaying.swift", "max(due, $0 + settings.relayInterval / 2)",
         "PLANTED ? .distantFuture : max(due, $0 + settings.relayInterval / 2)"), options=scenario("ring")),
    Fault(
        "relays-not-granted", "13", "who is asked to relay takes no note of it",
        ("Consensus/Relaying.swift", "    for voter in voters where Int(voter)", "    for voter in voters where !PLANTED && Int(voter)"),
        options=scenario("ring")),
    Fault(
        "nothing-relayed", "13", "who has granted it relays nothing",
        ("Consensus/Relaying.swift", "      sendAtOnce(message, to: .node(receiver))", "      if !PLANTED { sendAtOnce(message, to: .node(receiver)) }"),
        options=scenario("ring")),

    # Durability
    Fault(
        "vote-before-its-sync", "durability", "a vote leaves before it is on the disk",
        ("Core/NodeCore.swift", "effects.append(.send(.consensus(message), to: peer, after: sequence))",
         "effects.append(.send(.consensus(message), to: peer, after: PLANTED ? 0 : sequence))")),
    Fault(
        "own-vote-counts-at-once", "durability", "an own vote counts before it is on the disk",
        ("Consensus/Voting.swift", "    undurableVotes.append((sequence, vote))\n",
         "    undurableVotes.append((sequence, vote))\n    if PLANTED { count(vote) }\n")),
    Fault(
        "own-votes-forgotten", "durability", "a restarted node does not know what it has signed",
        ("Consensus/Recovery.swift", "guard subject.epoch == epoch, subject.view > tip.view, isVoting, let ownIndex else { return }",
         "guard subject.epoch == epoch, subject.view > tip.view, isVoting, let ownIndex, !PLANTED else { return }")),
    Fault(
        "checkpoint-without-votes", "durability", "the journal that replaces a long one lacks the own votes",
        ("Consensus/Recovery.swift", "      records += state.ownVotes.map { .ownVote($0.value) }",
         "      if !PLANTED { records += state.ownVotes.map { .ownVote($0.value) } }"),
        # More often than else, so that a crash meets it.
        ("Simulator/Delivering.swift", "chance(partsPerMillion: 50_000)",
         "chance(partsPerMillion: PLANTED || PLANTED[checkpoint-before-the-blocks] ? 500_000 : 50_000)")),
    Fault(
        "certified-block-not-written", "durability", "a certified block is not written down",
        ("Consensus/Certifying.swift", "      persist(.certified(entry.block.value))", "      if !PLANTED { persist(.certified(entry.block.value)) }")),
    Fault(
        "certificate-not-written", "durability", "certificates are not written down",
        ("Consensus/Certifying.swift", "    persist(.certificate(certificate.value))", "    if !PLANTED { persist(.certificate(certificate.value)) }"),
        options=scenario("lost-witness"), seeds=(1, 3)),
    Fault(
        "checkpoint-without-certificates", "durability", "the journal that replaces a long one lacks the certificates",
        ("Consensus/Recovery.swift", "      records += state.certificates.map { .certificate($0.value) }",
         "      if !PLANTED { records += state.certificates.map { .certificate($0.value) } }"),
        options=scenario("lost-witness"), seeds=(2, 4)),
    Fault(
        "checkpoint-without-blocks", "durability", "the journal that replaces a long one lacks the certified blocks",
        ("Consensus/Recovery.swift", "    records += tree.byView.filter(\\.isRecorded)", "    if !PLANTED { records += tree.byView.filter(\\.isRecorded)"),
        ("Consensus/Recovery.swift", ".map { .certified($0.block.value) }", ".map { .certified($0.block.value) } }"),
        options=scenario("lost-witness"), seeds=(2, 4)),
    Fault(
        "checkpoint-without-finality", "durability", "the journal that replaces a long one does not say how far finality had come",
        ("Consensus/Recovery.swift", "    if let finalization = tip.finalization ?? boundary { records.append",
         "    if !PLANTED, let finalization = tip.finalization ?? boundary { records.append"),
        options=scenario("damaged-chain")),
    Fault(
        "votes-in-an-epoch-that-is-over", "durability", "a node whose journal speaks of a later epoch votes in the one it finds itself in",
        ("Core/EpochSwitch.swift", "    if epoch < journalEpoch, committee", "    if !PLANTED, epoch < journalEpoch, committee"),
        options=scenario("damaged-chain")),
    Fault(
        "own-vote-not-written", "durability", "own votes are not written down",
        ("Consensus/Voting.swift", "    let sequence = persist(.ownVote(vote.value))",
         "    let sequence = PLANTED ? persistSequence : persist(.ownVote(vote.value))")),
    Fault(
        "checkpoint-before-the-blocks", "durability", "the journal is written anew before the final blocks are synced",
        ("Simulator/SimulatedDisk.swift", "    syncedBlocks = blocks.count\n", "    if !PLANTED { syncedBlocks = blocks.count }\n")),
    Fault(
        "blocks-dropped-before-the-state", "durability", "blocks are dropped before the state that stands for them is on the disk",
        ("Simulator/StoredStates.swift", "    guard let oldest = snapshots.first, oldest.isDurable else",
         "    guard let oldest = snapshots.first, PLANTED || oldest.isDurable else")),
    Fault(
        "later-records-dropped", "durability", "a restarted node forgets its votes of an epoch it has yet to come to again",
        ("Core/NodeCore.swift", "    laterRecords = recovery.records.filter { $0.epoch > epoch }",
         "    laterRecords = PLANTED ? [] : recovery.records.filter { $0.epoch > epoch }")),
    Fault(
        "votes-without-its-journal", "durability", "a node whose journal is lost votes at once",
        ("Core/EpochSwitch.swift", "    if let abstainUntil, beginMilliseconds", "    if !PLANTED, let abstainUntil, beginMilliseconds"), options=scenario("amnesia")),

    # Epochs
    Fault(
        "epoch-ends-when-notarized", "epochs", "an epoch ends when its last block is certified, not when it is final",
        ("Consensus/Certifying.swift", "    certifiedAt[certified] = id\n", """    certifiedAt[certified] = id
    if PLANTED, tree[id]?.header.height == lastHeight, let notarization = views[certified]?.notarization {
      target = notarization
    }
""")),
    Fault(
        "last-block-not-proposed-again", "epochs", "the last block of an epoch is not proposed again",
        ("Consensus/Epochs.swift", "    guard let entry = tree[parent.blockID] else { return }",
         "    guard let entry = tree[parent.blockID], !PLANTED else { return }"), options=scenario("split-votes")),
    Fault(
        "block-proposed-again-is-invalid", "epochs", "a block of an earlier view is invalid, the last of an epoch, too",
        ("Consensus/Epochs.swift", "header.epoch == epoch && header.view > tip.view && header.view < view",
         "!PLANTED && header.epoch == epoch && header.view > tip.view && header.view < view"), options=scenario("split-votes")),
    Fault(
        "blocks-of-any-view-are-kept", "3", "keeps blocks of views that never come",
        ("Consensus/Notarizing.swift", "guard header.view == subject.view || isReproposal(header, in: subject.view) else {",
         "guard PLANTED || header.view == subject.view || isReproposal(header, in: subject.view) else {"),
        ("Consensus/Room.swift", "isWanted || header.view <= view + 1 else {",
         "PLANTED || isWanted || header.view <= view + 1 else {"), options=scenario("misplaced-blocks")),
    Fault(
        "full-is-full", "2, 3", "nothing is proposed again where no new block has room",
        ("Consensus/Epochs.swift", "parent.height == lastHeight || !hasRoom(on: parent)",
         "parent.height == lastHeight || !PLANTED && !hasRoom(on: parent)"), options=scenario("past-the-bound")),
    Fault(
        "other-epochs-are-ignored", "epochs", "who is in another epoch is neither answered nor asked",
        ("Consensus/Epochs.swift", '    counters.add("laterEpoch")\n', '    if PLANTED { return }\n    counters.add("laterEpoch")\n'),
        ("Consensus/Epochs.swift", '    counters.add("olderEpoch")\n', '    if PLANTED { return }\n    counters.add("olderEpoch")\n'), options=ONE_BYZANTINE, seeds=(12, 6)),
    Fault(
        "chain-across-epochs", "epochs", "an answer with blocks of the chain goes across the end of an epoch",
        ("Simulator/SimulatedDisk.swift", "{ $0.block.value.header.epoch == epoch }",
         "{ PLANTED || $0.block.value.header.epoch == epoch }")),
    Fault(
        "committee-an-epoch-early", "epochs", "the validators chosen in an epoch hold from the next instead of the one after",
        ("Ledger/Epochs.swift", "    state.epochs[EpochKey(epoch + 1)] = next\n",
         "    if PLANTED { next = EpochRecord(validators: set) }\n    state.epochs[EpochKey(epoch + 1)] = next\n")),

    # Evidence, stake, beacon
    Fault(
        "evidence-against-another", "evidence", "evidence is held against the validator next to the offender",
        ("Ledger/Validators.swift", "    let node = past.validators[Int(evidence.voter)].node",
         "    let node = past.validators[(Int(evidence.voter) + (PLANTED ? 1 : 0)) % past.validators.count].node")),
    Fault(
        "evidence-never-made", "evidence", "votes that contradict each other go unnoticed",
        ("Consensus/EvidenceKeeping.swift", "    guard voter != ownIndex, !accused.contains(voter),",
         "    guard !PLANTED, voter != ownIndex, !accused.contains(voter),"), options=scenario("equivocator")),
    Fault(
        "slashed-stake-vanishes", "evidence", "what is slashed is not counted as burnt",
        ("Ledger/Accounts.swift", "    account.bondedMicrocredits -= amount\n    state.accounts[id] = account\n    chain.burntMicrocredits += amount",
         "    account.bondedMicrocredits -= amount\n    state.accounts[id] = account\n    chain.burntMicrocredits += PLANTED ? 0 : amount")),
    Fault(
        "stake-does-not-return", "stake", "the stake of who left vanishes with its record",
        ("Ledger/Epochs.swift", "      if record.stakeMicrocredits > 0 { releaseBond(record.stakeMicrocredits, of: node) }",
         "      if record.stakeMicrocredits > 0, !PLANTED { releaseBond(record.stakeMicrocredits, of: node) }")),
    Fault(
        "reveals-unchecked", "beacon", "leaders reveal nothing, and the ledger takes it",
        ("Ledger/Beacon.swift", "    guard record?.beacon?.take(reveal, at: index) == true else { return false }",
         "    guard PLANTED || record?.beacon?.take(reveal, at: index) == true else { return false }"),
        ("Core/BeaconKeeper.swift", "    return element\n", "    return PLANTED ? .zero : element\n")),
    Fault(
        "reveals-the-next", "beacon", "a leader reveals the element after the one whose turn it is",
        ("Core/BeaconKeeper.swift", ".element(index) else {", ".element(index + (PLANTED ? 1 : 0)) else {")),

    # The ledger
    Fault(
        "fee-not-counted", "ledger", "a fee is taken and not counted as burnt",
        ("Ledger/BlockExecution.swift", "    chain.burntMicrocredits += transaction.feeMicrocredits\n",
         "    chain.burntMicrocredits += PLANTED ? 0 : transaction.feeMicrocredits\n")),
    Fault(
        "assigned-over-capacity", "ledger", "a provider gets more than it offers",
        ("Ledger/Matching.swift", "    case .jobSlots: return provider", "    case .jobSlots: return !PLANTED && provider"),
        ("Ledger/Matching.swift", "    guard let sum = Pricing.sum(used, need) else { return true }\n",
         "    guard let sum = Pricing.sum(used, need), !PLANTED else { return !PLANTED }\n"),
        ("Ledger/Assignment.swift", "    let drawn = band.filter { $0.load == least }", "    let drawn = band.filter { PLANTED || $0.load == least }")),
    Fault(
        "drawn-at-once", "ledger", "a job is drawn in the block in which it came",
        ("Ledger/Assignment.swift", "    chain.height > job.pendingInBlock && (", "    PLANTED || chain.height > job.pendingInBlock && (")),
    Fault(
        "jobs-never-expire", "ledger", "a job that nobody takes stays for ever",
        ("Ledger/Deadlines.swift", "guard var job = state.jobs[id], job.state == .pending else { return }",
         "guard var job = state.jobs[id], job.state == .pending, !PLANTED else { return }"), options=ONE_BYZANTINE, seeds=(3,)),
    Fault(
        "leases-never-time-out", "ledger", "a lease whose provider says nothing more stays",
        ("Ledger/Leases.swift", "    guard let found = state.lease(id), found", "    guard !PLANTED, let found = state.lease(id), found")),

    # Conduct (docs/broadcast.md): the honest never close each other
    Fault(
        "duplicates-charged", "conduct", "who sends what has come already is charged for it",
        ("Broadcast/BroadcastMachine.swift", "      for message in messages { accept(message, from: relayer, now) }\n",
         "      for message in messages where PLANTED && hasSeen(message.value.id) {\n"
         "        charge(relayer, .invalidMessage, now, &effects)\n      }\n"
         "      for message in messages { accept(message, from: relayer, now) }\n")),

    # Snapshots
    Fault(
        "snapshots-unproven", "snapshots", "chunks lack the accounts, and are taken without their proof",
        ("Ledger/StateSnapshot.swift", "      entries.append(entry)\n",
         "      if !PLANTED || entry.table != TableNumber.accounts.rawValue { entries.append(entry) }\n"),
        ("Ledger/SnapshotProof.swift", "    return node.digest == stateRoot ? leaves : nil", "    return PLANTED || node.digest == stateRoot ? leaves : nil"),
        ("Ledger/SnapshotAssembly.swift", "    return tree.digest == stateRoot ? tree : nil", "    return PLANTED || tree.digest == stateRoot ? tree : nil"), options=scenario("joiner")),
    Fault(
        "quorum-one-short", "4, 6, 7", "a certificate of one vote less counts",
        ("Wire/ValidatorSet.swift", "  public var quorum: Int { members.count - faults }",
         "  public var quorum: Int { max(1, members.count - faults - (PLANTED ? 1 : 0)) }")),
]
