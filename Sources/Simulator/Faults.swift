import Core
import Primitives
import Wire

// Crashes, disks that fail, clocks that jump, links that clog and networks that split.

extension Simulation {
  func begin(_ fault: Fault) {
    guard now < faultsEnd else { return }
    transcript.mix(now, 7, fault.number)
    transcript.note(now, fault.text)
    let until = min(now + fault.length, faultsEnd)
    switch fault.kind {
    case .crash(let node): powerOff(node, until: until)
    case .blackout:
      for number in nodes.indices where nodes[number].running != nil {
        powerOff(number, until: min(now + .milliseconds(100) + faultRandom.span(upTo: .seconds(1)), faultsEnd))
      }
    case .syncError(let node):
      nodes[node].disk.failsNextSync = true
      nodes[node].downUntil = until
    case .diskFull(let node):
      nodes[node].disk.isFull = true
      nodes[node].downUntil = until
    case .journalDamage(let node):
      powerOff(node, until: until)
      if nodes[node].disk.damageJournal(&diskRandom) { nodes[node].disk.mustAbstain = true }
    case .journalLoss(let node):
      powerOff(node, until: until)
      nodes[node].disk.loseJournal()
      nodes[node].disk.mustAbstain = true
    case .blockDamage(let node):
      powerOff(node, until: until)
      nodes[node].disk.damageBlock(&diskRandom)
      checker.signed[node] = nil
    case .pause(let node): nodes[node].pausedUntil = until
    case .clockJump(let node, let by):
      nodes[node].wallOffset = nodes[node].wallOffset + by
      step(node, .wallClock(nodes[node].wallClock(at: now)))
    case .partition, .oneWay, .mute: for (from, to) in directions(fault.kind) { clog(from, to, true) }
    case .swizzle: swizzle(fault, until: until)
    }
  }

  func end(_ fault: Fault) {
    switch fault.kind {
    case .partition, .oneWay, .mute:
      transcript.note(now, "#\(fault.number) is over")
      for (from, to) in directions(fault.kind) { clog(from, to, false) }
    case .syncError(let node): nodes[node].disk.failsNextSync = false
    case .diskFull(let node): nodes[node].disk.isFull = false
    default: break
    }
  }

  /// The directions that a fault of the network clogs.
  private func directions(_ kind: Fault.Kind) -> [(Int, Int)] {
    var found: [(Int, Int)] = []
    for from in nodes.indices {
      for to in nodes.indices where from != to {
        let isClogged =
          switch kind {
          case .partition(let side): side.contains(from) != side.contains(to)
          case .oneWay(let side): side.contains(from) && !side.contains(to)
          case .mute(let node): from == node
          default: false
          }
        if isClogged { found.append((from, to)) }
      }
    }
    return found
  }

  /// Clogs the directions of a node's links one by one in a random order, and frees them in another.
  private func swizzle(_ fault: Fault, until: Instant) {
    guard case .swizzle(let node) = fault.kind else { return }
    let half = (until - now) / 2
    for peer in nodes.indices where peer != node {
      for (from, to) in [(node, peer), (peer, node)] where faultRandom.chance(partsPerMillion: 600_000) {
        queue.add(.clog(from, to, true), at: now + faultRandom.span(upTo: half))
        queue.add(.clog(from, to, false), at: now + half + faultRandom.span(upTo: half))
      }
    }
  }

  func clog(_ from: Int, _ to: Int, _ isClogged: Bool) {
    network.clog(from, to, isClogged)
    if isClogged {
      // A link on which nothing comes is given up after a while, which differs.
      let link = network.link(from, to)
      let patience = Microseconds.milliseconds(500) + faultRandom.span(upTo: .seconds(4))
      if link > 0 { queue.add(.linkTimeout(from, to, link: link), at: now + patience) }
      return
    }
    for (from, to, carried, link) in network.takeReleased() where network.link(from, to) == link {
      if case .arrives(let at, let link) = network.frame(carried, from: from, to: to, now: now) {
        queue.add(.frame(to: to, from: from, link: link, carried), at: at)
      }
    }
  }

  /// All faults are over.
  func heal() {
    isCalm = true
    network.calm()
    transcript.note(now, "the network is whole again")
    for number in nodes.indices {
      nodes[number].disk.failsNextSync = false
      nodes[number].disk.isFull = false
      if nodes[number].running == nil, nodes[number].startsAt <= now {
        queue.add(.start(node: number), at: now + faultRandom.span(upTo: .milliseconds(200)))
      }
    }
    liveness.begin(self)
  }

  // MARK: - Nodes

  /// A host has another address from now on, and learns of it from its interfaces. Its links fall silent.
  func move(_ number: Int, to address: PeerAddress) {
    transcript.mix(now, 12, number)
    transcript.note(now, "n\(number + 1) is at \(address) now")
    places[nodes[number].address] = nil
    places[address] = number
    nodes[number].address = address
    for peer in network.peers(of: number) { linkLost(number, peer, noticedWithin: .seconds(15)) }
    step(number, .interfaces([address]))
  }

  func start(_ number: Int) {
    guard nodes[number].running == nil else { return }
    if now < nodes[number].downUntil { return queue.add(.start(node: number), at: nodes[number].downUntil) }
    transcript.mix(now, 8, number)
    transcript.note(now, "n\(number + 1) starts")
    let seed = diskRandom.next()
    do {
      try nodes[number].start(genesis, setup, now: now, seed: seed, isWide: options.profile == .wan)
    } catch {
      if isHonest(number) { checker.report(7, at: now, "n\(number + 1) can't start: \(error.reason)") }
      return
    }
    if let core = nodes[number].running?.core, nodes[number].disk.abstainsUntilMilliseconds == nil {
      checker.restarted(number, at: core.consensus.tip, with: nodes[number].disk.durable, now: now)
    }
    // The mark lies ahead of all use while the node runs.
    nodes[number].disk.sequenceMark += 1_000_000
    step(number, .start)
    step(number, .offer(offer(of: number)))
    for outcome in nodes[number].disk.outcomes.values { step(number, .leaseFinished(outcome)) }
    queue.add(.contact(node: number, life: nodes[number].life), at: now + .milliseconds(50))
  }

  func powerOff(_ number: Int, until: Instant) {
    nodes[number].downUntil = max(nodes[number].downUntil, until)
    crash(number)
    queue.add(.start(node: number), at: max(until, now + Microseconds(1)))
  }

  /// A node ends where it stands.
  func crash(_ number: Int, isFailedSync: Bool = false) {
    guard nodes[number].running != nil else { return }
    transcript.mix(now, 9, number)
    transcript.note(now, "n\(number + 1) is down")
    nodes[number].running = nil
    nodes[number].life += 1
    nodes[number].held = []
    nodes[number].pausedUntil = .zero
    let votes = nodes[number].disk.crash(&diskRandom, isFailedSync: isFailedSync)
    checker.durable(votes, of: number, at: now)
    for peer in network.peers(of: number) { linkLost(number, peer) }
    if nodes[number].downUntil <= now { nodes[number].downUntil = now + faultRandom.span(upTo: .seconds(2)) }
    queue.add(.start(node: number), at: max(nodes[number].downUntil, now + Microseconds(1)))
  }

  func moveClocks() {
    guard now < faultsEnd else { return }
    for number in nodes.indices { step(number, .wallClock(nodes[number].wallClock(at: now))) }
    queue.add(.clocks, at: now + .seconds(1))
  }
}
