import Membership
import Primitives
import Wire

// The scripts of the scenarios that network.md warns of: what members think of each other, and whether the chain goes on.

/// Some nodes are cut off from the others, in one direction or in both, until the faults end. Nobody takes one for down
/// with whom it can talk; a side with a quorum goes on; and once all can talk again there is one membership.
final class CutOff: Script {
  static let start = Instant.zero + .seconds(10)
  /// How long it may take until all know that all are there.
  static let healTime = Microseconds.seconds(30)

  private let apart: Set<Int>
  private let span: Range<Instant>
  private let isRestQuorum: Bool
  private var heights: [UInt64] = []
  /// Whom each node has taken for down from whom it was cut off.
  private var downs: [Int: Set<Int>] = [:]
  private var failure: String?

  init(_ setup: inout Setup, kind: Fault.Kind, apart: [Int]) {
    self.apart = Set(apart)
    span = CutOff.start..<setup.faultsEnd
    isRestQuorum = apart.count <= Setup.faults(of: setup.validators)
    setup.plan.faults = [Fault(number: 1, kind: kind, at: span.lowerBound, length: span.upperBound - span.lowerBound)]
  }

  func begin(_ simulation: Simulation) {
    for (number, at) in [span.lowerBound, span.upperBound - .milliseconds(1), span.upperBound + CutOff.healTime]
      .enumerated()
    {
      simulation.queue.add(.scripted(number), at: at)
    }
  }

  func act(_ number: Int, _ simulation: Simulation) {
    heights.append(simulation.checker.finalizedHeight)
    switch number {
    case 0: fail(division(simulation), "before anything happens")
    case 1:
      // Not at the end: who signs a new record, as for what it offers, is alive until it is accused anew.
      for node in simulation.nodes where !apart.contains(node.number) {
        for other in apart.sorted() where downs[node.number]?.contains(other) != true {
          fail("n\(node.number + 1) has not taken n\(other + 1) for down", "in \(span.upperBound - span.lowerBound)")
        }
      }
    default: fail(division(simulation), "\(CutOff.healTime) after all can talk again")
    }
  }

  func changed(_ member: NodeID, to state: MemberState, at node: Int, _ simulation: Simulation) {
    guard state == .down, let other = simulation.nodes.first(where: { $0.id == member })?.number else { return }
    guard apart.contains(other) == apart.contains(node) else { downs[node, default: []].insert(other); return }
    fail("n\(node + 1) takes n\(other + 1) for down", "though the two can talk")
  }

  func verdict(_ simulation: Simulation) -> String? {
    if let failure { return failure }
    guard heights.count == 3 else { return "the end came before all could be looked at" }
    if isRestQuorum, heights[1] < heights[0] + 10 { return "the chain stood still while a quorum could talk" }
    if !isRestQuorum, heights[1] > heights[0] + 1 { return "the chain went on though neither side had a quorum" }
    return heights[2] < heights[1] + 10 ? "the chain did not go on" : nil
  }

  private func fail(_ what: String?, _ when: String) {
    if failure == nil, let what { failure = "\(what) \(when)" }
  }
}

/// Some accuse all others, as many as it takes for a node to go down that does not refute. Nobody is taken for down on their word, and all come to hear them no more.
final class Accusers: Progress {
  private var downs: [String] = []
  private var isDeafTo: [Int: Set<NodeID>] = [:]

  override func changed(_ member: NodeID, to state: MemberState, at node: Int, _ simulation: Simulation) {
    if state == .down, simulation.isHonest(node) { downs.append("n\(node + 1) takes \(member.short) for down") }
  }

  override func heardNoMore(_ peer: NodeID, by node: Int) { isDeafTo[node, default: []].insert(peer) }

  override func verdict(_ simulation: Simulation) -> String? {
    if let down = downs.first { return down }
    let liars = simulation.nodes.filter { !simulation.isHonest($0.number) }
    for node in simulation.nodes where simulation.isHonest(node.number) {
      for liar in liars where isDeafTo[node.number]?.contains(liar.id) != true {
        return "n\(node.number + 1) still listens to n\(liar.number + 1)"
      }
    }
    return super.verdict(simulation)
  }
}

/// One host after the other gets another address, that of an entrance among them. All others find it there.
final class Moves: Progress {
  /// How long a host is given until all others have a link with it again.
  static let time = Microseconds.seconds(30)
  private static let movers = [3, 0]

  private var failure: String?
  private var heights: [UInt64] = []

  override func begin(_ simulation: Simulation) {
    simulation.queue.add(.scripted(0), at: .zero + .seconds(2))
    for number in 0...Moves.movers.count {
      simulation.queue.add(.scripted(number + 1), at: CutOff.start + Moves.time * Int64(number))
    }
  }

  override func act(_ number: Int, _ simulation: Simulation) {
    // Hosts know their interfaces.
    if number == 0 { return simulation.nodes.forEach { simulation.step($0.number, .interfaces([$0.address])) } }
    heights.append(simulation.checker.finalizedHeight)
    if failure == nil { failure = division(simulation) ?? stranger(simulation) }
    guard number <= Moves.movers.count else { return }
    let mover = Moves.movers[number - 1]
    guard let address = PeerAddress(ip: [10, 9, 0, UInt8(1 + mover)], port: 7_447) else { return }
    simulation.move(mover, to: address)
  }

  override func changed(_ member: NodeID, to state: MemberState, at node: Int, _ simulation: Simulation) {
    if state == .down, failure == nil { failure = "n\(node + 1) takes \(member.short) for down" }
  }

  /// Who does not know where another is, or has no link with it.
  private func stranger(_ simulation: Simulation) -> String? {
    for node in simulation.nodes {
      for other in simulation.nodes where other.id != node.id {
        let member = node.running?.core.membership.member(other.id)
        if member?.address != other.address { return "n\(node.number + 1) does not know where n\(other.number + 1) is" }
        if member?.isLinked != true { return "n\(node.number + 1) has no link with n\(other.number + 1)" }
      }
    }
    return nil
  }

  override func verdict(_ simulation: Simulation) -> String? {
    if let failure { return failure }
    guard heights.count == 1 + Moves.movers.count else { return "the end came before all had moved" }
    let isMoving = zip(heights, heights.dropFirst()).allSatisfy { $1 > $0 + 10 }
    return isMoving ? super.verdict(simulation) : "the chain stood still: heights \(heights)"
  }
}

/// Who does not take another for alive.
private func division(_ simulation: Simulation) -> String? {
  for node in simulation.nodes {
    for other in simulation.nodes where other.id != node.id {
      let state = node.running?.core.membership.member(other.id)?.state
      if state != .alive {
        return "n\(node.number + 1) takes n\(other.number + 1) for \(state?.description ?? "unknown")"
      }
    }
  }
  return nil
}
