import Core
import Primitives
import Wire

// Crashes, splits and links that break.

extension Simulation {
  /// Puts the faults of the plan into the queue, at times drawn from their own stream. All end with `faultsEnd`.
  func scheduleFaults(_ generator: inout SeededGenerator) {
    func moment() -> Instant {
      Instant.zero + .seconds(1) + generator.span(upTo: (faultsEnd - .zero) - .seconds(1))
    }
    for _ in 0..<options.faults.crashes {
      let at = moment()
      let number = generator.index(below: nodes.count)
      queue.add(.crash(node: number), at: at)
      queue.add(.start(node: number), at: min(at + generator.span(upTo: .seconds(8)), faultsEnd))
    }
    for _ in 0..<options.faults.blackouts {
      let at = moment()
      for number in nodes.indices {
        queue.add(.crash(node: number), at: at)
        queue.add(.start(node: number), at: min(at + .milliseconds(200) + generator.span(upTo: .seconds(1)), faultsEnd))
      }
    }
    for _ in 0..<options.faults.partitions {
      let at = moment()
      var side = OrderedSet<Int>()
      for number in nodes.indices where generator.chance(partsPerMillion: 500_000) { side.insert(number) }
      queue.add(.split(side), at: at)
      queue.add(.heal, at: min(at + generator.span(upTo: .seconds(12)), faultsEnd))
    }
    queue.add(.heal, at: faultsEnd)
  }

  func start(_ number: Int) {
    guard nodes[number].core == nil else { return }
    transcript.note(now, "node \(number + 1) starts")
    nodes[number].start(genesis: genesis, now: now, seed: diskRandom.next())
    // The mark lies ahead of all use while the node runs.
    nodes[number].disk.sequenceMark += 1_000_000
    step(number, .start)
    step(number, .offer(offer))
    for outcome in nodes[number].disk.outcomes.values { step(number, .leaseFinished(outcome)) }
    queue.add(.contact(node: number), at: now + .milliseconds(50))
  }

  func crash(_ number: Int) {
    guard nodes[number].core != nil else { return }
    transcript.note(now, "node \(number + 1) crashes")
    nodes[number].core = nil
    nodes[number].life += 1
    nodes[number].disk.crash(&diskRandom)
    for peer in network.peers(of: number) { linkLost(number, peer) }
  }

  /// A link ends; each side hears of it within half a second.
  func linkLost(_ first: Int, _ second: Int) {
    guard network.close(first, second) else { return }
    for (number, peer) in [(first, second), (second, first)] where nodes[number].core != nil {
      let at = now + diskRandom.span(upTo: .milliseconds(500))
      queue.add(.linkDown(node: number, peer: peer, life: nodes[number].life), at: at)
    }
  }

  func dial(_ from: Int, _ to: Int) {
    guard nodes[to].core != nil, let time = network.dial(from, to) else { return }
    queue.add(.linkUp(from, to), at: now + time)
  }

  /// Bootstrap: a node without a link dials the first two nodes, for ever.
  func contact(_ number: Int) {
    guard nodes[number].core != nil else { return }
    if network.peers(of: number).isEmpty {
      for entrance in 0..<min(2, nodes.count) { dial(number, entrance) }
    }
    queue.add(.contact(node: number), at: now + .seconds(1))
  }
}
