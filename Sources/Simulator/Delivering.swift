import Consensus
import Core
import Ledger
import Primitives
import Wire

// What cores do to the world.

extension Simulation {
  /// Gives a node's core an input, and performs what follows.
  func step(_ number: Int, _ input: CoreInput) {
    let node = nodes[number]
    guard node.running != nil else { return }
    var effects: [CoreEffect] = []
    node.running?.core.step(input, now: now, into: &effects)
    perform(effects, of: number)
    // A core is large: it is looked at where it is, never copied.
    guard let last = node.running?.core.identity.sequences.last, let next = node.running?.core.nextWake else { return }
    beginSync(number)
    node.steps += 1
    if node.steps % Simulation.occupancyInterval == 0 { checkOccupancy(number) }
    // The mark is kept ahead of use, as the daemon does.
    node.disk.sequenceMark = max(node.disk.sequenceMark, last)
    let wake = max(next, now + Microseconds(1))
    if wake < node.wakeAt {
      node.wakeAt = wake
      queue.add(.tick(node: number, life: node.life), at: wake)
    }
  }

  private func perform(_ effects: [CoreEffect], of number: Int) {
    // A broadcast is the same message in effects that follow each other.
    var last: Carried?
    func carried(_ message: LinkMessage) -> Carried {
      if let last, let known = last.message, known == message { return last }
      let new = Carried(message)
      last = new
      return new
    }
    let life = nodes[number].life
    for effect in effects {
      // A full disk ends the node in the middle of its effects.
      guard nodes[number].life == life, nodes[number].running != nil else { return }
      switch effect {
      case .datagram(let message, let address, let receiver): send(message, from: number, to: address, receiver)
      case .send(let message, let peer, let after):
        if after <= nodes[number].durableSequence {
          transmit(carried(message), from: number, to: peer)
        } else {
          nodes[number].held.append((after, carried(message), peer))
        }
      case .dial(let address, let peer):
        if let target = places[address], nodes[target].id == peer { dial(number, target) }
      case .close(let peer, _, _):
        for target in instances[peer] ?? [] { linkLost(number, target) }
      case .persist(let sequence, let record): persist(sequence, record, at: number)
      case .committed(let blocks, let finalization, _): committed(blocks, finalization, by: number)
      case .validators(let set): nodes[number].known.insert(set)
      case .epochBegan(_, let boundary, let finalization, let snapshot, let next):
        epochBegan(boundary, finalization, snapshot, next, at: number)
      case .epochLinks(let links):
        for link in links { nodes[number].disk.keep(link, isChange: true) }
      case .installed(let install):
        transcript.mix(now, 10, number, install.link.header.height)
        transcript.note(now, "n\(number + 1) goes on from the state of block \(install.link.header.height)")
        nodes[number].disk.install(install.snapshot, install.link)
        checker.holds(install.snapshot.stateRoot, at: install.link.header.height, node: number, at: now)
      case .serveEpochs(let epoch, let peer):
        let links = nodes[number].disk.epochLinks(from: epoch)
        transmit(Carried(.consensus(.epochs(links))), from: number, to: peer)
      case .serveSnapshot(let height, let key, let peer):
        guard let chunk = nodes[number].disk.chunk(height: height, covering: key) else { continue }
        transmit(Carried(.consensus(.snapshot(chunk))), from: number, to: peer)
      case .serveChain(let height, let peer):
        guard let (blocks, finalization) = nodes[number].disk.chain(from: height) else { continue }
        transmit(Carried(.consensus(.chain(blocks, finalization: finalization))), from: number, to: peer)
      case .startLease(let order): startJob(order, on: number)
      case .network(.closedForMisconduct(let peer, let score, _)):
        transcript.note(now, "n\(number + 1) hears \(name(peer)) no more, at \(score) points")
        if isHonest(number) { checker.closed(peer, by: number, at: now) }
        script?.heardNoMore(peer, by: number)
      case .memberChanged(let member, _, let state, let accusers):
        transcript.note(now, "n\(number + 1) takes \(name(member)) for \(state), accused by \(accusers.map(name))")
        script?.changed(member, to: state, at: number, self)
      case .stopLease, .forgetLease, .submitted, .signedAnew, .network, .pinged, .met: break
      case .halt(let reason):
        transcript.note(now, "n\(number + 1) halts: \(reason)")
        if isHonest(number) { checker.report(7, at: now, "n\(number + 1) halted: \(reason)") }
      }
    }
  }

  private func send(_ message: Verified<Message>, from number: Int, to address: PeerAddress, _ receiver: NodeID) {
    guard let target = places[address], nodes[target].id == receiver else { return }
    let arrivals = network.datagram(from: number, to: target, now: now)
    guard !arrivals.isEmpty else { return }
    let bytes = message.value.envelope.encoded
    for (at, isChanged) in arrivals {
      queue.add(.datagram(to: target, from: number, isChanged ? network.changed(bytes) : bytes), at: at)
    }
  }

  // MARK: - The disk

  private func persist(_ sequence: UInt64, _ record: ConsensusRecord, at number: Int) {
    if nodes[number].disk.isFull {
      transcript.note(now, "n\(number + 1) ends: no room on its disk")
      return crash(number)
    }
    nodes[number].disk.append(sequence, record)
  }

  private func beginSync(_ number: Int) {
    guard nodes[number].disk.beginSync() else { return }
    let drawn = Microseconds(100) + diskRandom.span(upTo: setup.plan.slowestSync)
    queue.add(.synced(node: number, life: nodes[number].life), at: now + (script?.syncTime(of: number) ?? drawn))
  }

  func synced(_ number: Int, _ life: UInt64) {
    guard nodes[number].life == life, nodes[number].running != nil else { return }
    if nodes[number].disk.failsNextSync {
      transcript.note(now, "n\(number + 1) ends: a sync failed")
      return crash(number, isFailedSync: true)
    }
    guard let (upTo, votes) = nodes[number].disk.endSync() else { return }
    transcript.mix(now, 4, number, upTo)
    checker.durable(votes, of: number, at: now)
    if nodes[number].disk.isCheckpointDue, let checkpoint = nodes[number].running?.core.checkpoint() {
      nodes[number].disk.write(checkpoint: checkpoint)
    }
    nodes[number].durableSequence = upTo
    let ready = nodes[number].held.prefix { $0.after <= upTo }
    nodes[number].held.removeFirst(ready.count)
    for send in ready { transmit(send.carried, from: number, to: send.to) }
    step(number, .persisted(upTo: upTo))
  }

  private func committed(_ blocks: [Verified<Block>], _ finalization: Verified<Certificate>, by number: Int) {
    nodes[number].disk.append(blocks, finalization)
    for block in blocks.map(\.value) {
      transcript.mix(now, 5, number, block.id.value.prefix)
      transcript.note(
        now,
        "n\(number + 1): block \(block.header.height) of view \(block.header.epoch)/\(block.header.view) is final "
          + "(\(block.id.short), \(block.transactions.count) transactions)")
    }
    // Far more often than a journal grows, so that restarts meet checkpoints.
    if diskRandom.chance(partsPerMillion: 50_000) { nodes[number].disk.isCheckpointDue = true }
    guard isHonest(number) else { return }
    let height = checker.finalizedHeight
    checker.committed(blocks, finalization: finalization.value, by: number, at: now)
    if blocks.count > setup.bounds.commitBlocks {
      checker.report(10, at: now, "n\(number + 1) made \(blocks.count) blocks final at once, which no answer carries")
    }
    if checker.finalizedHeight > height { liveness.progressed(at: now) }
    guard let root = nodes[number].running?.core.ledger.finalStateRoot,
      let held = nodes[number].running?.core.ledger.finalHeight
    else { return }
    checker.holds(root, at: held, node: number, at: now)
  }

  private func epochBegan(
    _ boundary: Verified<Block>, _ finalization: Verified<Certificate>, _ snapshot: StateSnapshot, _ next: ValidatorSet,
    at number: Int
  ) {
    let header = boundary.value.header
    transcript.mix(now, 11, number, header.epoch)
    transcript.note(now, "n\(number + 1) begins epoch \(header.epoch + 1) with \(next.count) validators")
    let isChange = nodes[number].known.set(of: header.epoch)?.validators != next.validators
    // Who is nearer than that asks for blocks.
    let kept = 2 * setup.snapshotDistance
    let keptFrom = diskRandom.chance(partsPerMillion: 300_000) && header.height > kept ? header.height - kept : 0
    guard let link = EpochLink(header: header, finalization: finalization.value, next: next.validators) else {
      return checker.report(7, at: now, "n\(number + 1) ends epoch \(header.epoch) with what makes no link")
    }
    nodes[number].disk.keep(snapshot, link, isChange: isChange, keptFrom: keptFrom)
    if isHonest(number) { checker.snapshot(snapshot, node: number, at: now) }
  }

  private func checkOccupancy(_ number: Int) {
    guard isHonest(number) else { return }
    for entry in nodes[number].running?.core.occupancy ?? [] where entry.isExceeded {
      checker.report(10, at: now, "n\(number + 1) holds \(entry.count) of \(entry.name), above \(entry.limit)")
    }
    // What waits for the disk is bounded by what consensus has under way.
    if nodes[number].held.count > 65_536 {
      checker.report(10, at: now, "n\(number + 1) holds back \(nodes[number].held.count) messages for its disk")
    }
  }

  // MARK: - Links

  func isLinked(_ number: Int, _ peer: NodeID) -> Bool {
    (instances[peer] ?? []).contains { network.link(number, $0) > 0 }
  }

  /// Sends a message over the link to a peer; a Byzantine sender may make something else of it.
  func transmit(_ carried: Carried, from number: Int, to peer: NodeID) {
    for target in instances[peer] ?? [] where target != number {
      guard actors[number] != nil, let message = carried.message else {
        put(carried, from: number, to: target)
        continue
      }
      for other in rewrite(message, carried, from: number, to: target) { put(other, from: number, to: target) }
    }
  }

  /// Puts a message on the wire. What consensus says passes the checker, whether or not it arrives.
  func put(_ carried: Carried, from number: Int, to target: Int) {
    if carried.checkedFor != number, case .consensus(let message) = carried.message {
      carried.checkedFor = number
      note(message, from: number)
      checker.saw(message, from: number, at: now)
    }
    if let script, case .consensus(let message) = carried.message,
      script.drops(message, from: number, to: target, at: now)
    {
      return
    }
    switch network.frame(carried, from: number, to: target, now: now) {
    case .arrives(let at, let link): queue.add(.frame(to: target, from: number, link: link, carried), at: at)
    case .breaksLink: linkLost(number, target)
    case .waits, .noLink: break
    }
  }

  private func name(_ node: NodeID) -> String { checker.numbers[node].map { "n\($0 + 1)" } ?? node.short }

  private func note(_ message: ConsensusMessage, from number: Int) {
    guard transcript.isRecorded else { return }
    switch message {
    case .vote(let vote):
      transcript.note(now, "n\(number + 1) sends the \(text(vote.subject)) of voter \(vote.voter)")
    case .proposal(let block, let vote):
      transcript.note(
        now, "n\(number + 1) proposes block \(block.header.height) in a \(text(vote.subject)) of voter \(vote.voter)")
    case .certificate(let certificate):
      transcript.note(now, "n\(number + 1) sends a certificate: \(text(certificate.subject)) by \(certificate.signers)")
    case .chainRequest(let height): transcript.note(now, "n\(number + 1) asks for blocks from \(height)")
    case .chain(let blocks, _): transcript.note(now, "n\(number + 1) sends \(blocks.count) blocks of the chain")
    case .epochRequest(let epoch): transcript.note(now, "n\(number + 1) asks for the epochs from \(epoch)")
    case .snapshotRequest(let height, let place):
      transcript.note(now, "n\(number + 1) asks for the snapshot of \(height) at \(place.short)")
    case .relayRequest(let epoch, let voters):
      transcript.note(now, "n\(number + 1) asks for the votes of \(voters) in epoch \(epoch) to be relayed")
    case .blockRequest, .blocks, .certificateRequest, .certificates, .epochs, .snapshot: break
    }
  }

  private func text(_ subject: VoteSubject) -> String {
    "\(subject.kind.name) of view \(subject.epoch)/\(subject.view)"
      + (subject.kind == .nullify ? "" : " for \(subject.blockID.short) on \(subject.parentView)")
  }

  func dial(_ from: Int, _ to: Int) {
    guard nodes[to].running != nil, nodes[from].id != nodes[to].id, now >= nodes[to].pausedUntil,
      let time = network.dial(from, to)
    else { return }
    queue.add(.linkUp(from, to), at: now + time)
  }

  func linkUp(_ first: Int, _ second: Int) {
    guard nodes[first].running != nil, nodes[second].running != nil else { return }
    let wasLinked = [isLinked(first, nodes[second].id), isLinked(second, nodes[first].id)]
    guard network.open(first, second) else { return }
    transcript.mix(now, 6, first, UInt64(second))
    transcript.note(now, "n\(first + 1) and n\(second + 1) are linked")
    // A twin's link beside its other's is nothing new to the core.
    if !wasLinked[0] { step(first, .linkUp(nodes[second].id, nodes[second].address, isOutbound: true)) }
    if !wasLinked[1] { step(second, .linkUp(nodes[first].id, nodes[first].address, isOutbound: false)) }
  }

  /// A link ends; each side hears of it after a while.
  func linkLost(_ first: Int, _ second: Int, noticedWithin longest: Microseconds = .milliseconds(500)) {
    guard network.close(first, second) else { return }
    transcript.note(now, "the link of n\(first + 1) and n\(second + 1) ends")
    for (number, peer) in [(first, second), (second, first)] where nodes[number].running != nil {
      let at = now + faultRandom.span(upTo: longest)
      queue.add(.linkDown(node: number, peer: peer, life: nodes[number].life), at: at)
    }
  }

  /// Bootstrap: a node dials the first nodes again and again, as a daemon dials those that its configuration names. Two
  /// groups that have forgotten each other in a blackout would otherwise never meet.
  func contact(_ number: Int, _ life: UInt64) {
    guard nodes[number].running != nil, nodes[number].life == life, now < setup.bootstrapEnd else { return }
    for entrance in 0..<min(3, setup.validators) where !isLinked(number, nodes[entrance].id) { dial(number, entrance) }
    queue.add(.contact(node: number, life: life), at: now + .seconds(1))
  }
}
