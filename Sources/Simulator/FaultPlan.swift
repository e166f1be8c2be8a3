import Primitives

/// A fault at a time. Nodes are numbers from 0.
package struct Fault: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    /// A node loses its power and starts again.
    case crash(node: Int)
    /// All nodes lose their power at once.
    case blackout
    /// A sync fails with an input or output error: the node ends, of what was not synced nothing is left.
    case syncError(node: Int)
    /// The disk is full: the node ends at its next write, and starts again when there is room.
    case diskFull(node: Int)
    /// A record of the journal is damaged while the node is down.
    case journalDamage(node: Int)
    /// The journal is lost while the node is down.
    case journalLoss(node: Int)
    /// A final block on the disk is damaged while the node is down.
    case blockDamage(node: Int)
    /// A node does nothing for a while and then goes on.
    case pause(node: Int)
    /// A node's wall clock is set to another time.
    case clockJump(node: Int, by: Microseconds)
    /// The network is cut in two.
    case partition(side: [Int])
    /// Nothing goes from one side to the other, but everything goes back.
    case oneWay(from: [Int])
    /// The directions of some links stop one by one, and go on one by one in another order.
    case swizzle(node: Int)
    /// What a node sends does not arrive: a silent leader.
    case mute(node: Int)
  }

  package var number: Int
  package var kind: Kind
  package var at: Instant
  /// How long it lasts.
  package var length: Microseconds

  /// The fault in words.
  package var text: String {
    func names(_ nodes: [Int]) -> String { nodes.map { "n\($0 + 1)" }.joined(separator: ",") }
    let what =
      switch kind {
      case .crash(let node): "n\(node + 1) loses its power"
      case .blackout: "all nodes lose their power"
      case .syncError(let node): "a sync of n\(node + 1) fails"
      case .diskFull(let node): "the disk of n\(node + 1) is full"
      case .journalDamage(let node): "n\(node + 1) loses its power and a record of its journal is damaged"
      case .journalLoss(let node): "n\(node + 1) loses its power and its journal"
      case .blockDamage(let node): "n\(node + 1) loses its power and a final block is damaged"
      case .pause(let node): "n\(node + 1) pauses"
      case .clockJump(let node, let by): "the clock of n\(node + 1) jumps by \(by)"
      case .partition(let side): "the network splits: \(names(side)) | the rest"
      case .oneWay(let side): "nothing gets from \(names(side)) to the rest"
      case .swizzle(let node): "the links of n\(node + 1) are clogged one by one"
      case .mute(let node): "nothing that n\(node + 1) sends arrives"
      }
    return "#\(number) at \(at) for \(length): \(what)"
  }
}

/// What goes wrong in a simulation. All faults end when two thirds of the time have passed; the rest shows whether the
/// network recovers.
package struct FaultPlan: Sendable, Equatable {
  /// Names of what has no number, for `SimulationOptions.without`.
  package static let names = [
    "loss", "duplication", "corruption", "spikes", "slow-disks", "clocks", "never-linked", "changes", "newcomers",
  ]

  /// Datagrams lost, and link messages delayed by a retransmission, in a million.
  package var lossPartsPerMillion: UInt64 = 0
  /// Datagrams delivered twice, in a million.
  package var duplicationPartsPerMillion: UInt64 = 0
  /// Datagrams with one byte changed, in a million; of the frames of links, a hundredth: such a frame ends its link.
  package var corruptionPartsPerMillion: UInt64 = 0
  /// Messages delayed by up to `longestSpike`, in a million.
  package var spikePartsPerMillion: UInt64 = 0
  /// The longest delay spike.
  package var longestSpike = Microseconds.seconds(2)
  /// The longest time a disk takes to sync.
  package var slowestSync = Microseconds.milliseconds(5)
  /// How far the nodes' wall clocks are off at first, at most, either way.
  package var clockSkew = Microseconds.milliseconds(20)
  /// How much faster or slower a wall clock runs, at most, in a million.
  package var driftPartsPerMillion: UInt64 = 0
  /// Pairs of nodes that can never link with each other.
  package var neverLinked: [[Int]] = []
  /// The faults that have a time, in the order of their numbers.
  package var faults: [Fault] = []

  /// Nothing goes wrong.
  package init() {}

  /// Leaves out what is named.
  package mutating func leaveOut(_ names: [String]) {
    for name in names {
      switch name {
      case "loss": lossPartsPerMillion = 0
      case "duplication": duplicationPartsPerMillion = 0
      case "corruption": corruptionPartsPerMillion = 0
      case "spikes": spikePartsPerMillion = 0
      case "slow-disks": slowestSync = .milliseconds(5)
      case "clocks":
        clockSkew = .milliseconds(20)
        driftPartsPerMillion = 0
      case "never-linked": neverLinked = []
      default: faults.removeAll { "\($0.number)" == name }
      }
    }
  }

  /// The names that `leaveOut` could still remove something by.
  package var removable: [String] {
    var found = faults.map { "\($0.number)" }
    if lossPartsPerMillion > 0 { found.append("loss") }
    if duplicationPartsPerMillion > 0 { found.append("duplication") }
    if corruptionPartsPerMillion > 0 { found.append("corruption") }
    if spikePartsPerMillion > 0 { found.append("spikes") }
    if slowestSync > .milliseconds(5) { found.append("slow-disks") }
    if clockSkew > .milliseconds(20) || driftPartsPerMillion > 0 { found.append("clocks") }
    if !neverLinked.isEmpty { found.append("never-linked") }
    return found
  }

  /// Every fault, and how strong it is, drawn from a stream: each about half of the time, so that no fault hides
  /// another.
  ///
  /// - Parameters:
  ///   - forgetful: the node whose journal may be lost or damaged: it counts as faulty, since it must not vote.
  ///   - end: when all faults are over.
  static func swarm(
    _ generator: inout SeededGenerator, nodes: Int, forgetful: Int?, byzantine: OrderedSet<Int>, end: Instant
  ) -> FaultPlan {
    var plan = FaultPlan()
    func often(_ bound: UInt64) -> UInt64 {
      let isThere = generator.chance(partsPerMillion: 500_000)
      let drawn = generator.next(below: bound)
      return isThere ? drawn : 0
    }
    plan.lossPartsPerMillion = often(300_000)
    plan.duplicationPartsPerMillion = often(100_000)
    plan.corruptionPartsPerMillion = often(20_000)
    plan.spikePartsPerMillion = often(20_000)
    plan.longestSpike = .milliseconds(100 + Int64(generator.next(below: 4_900)))
    plan.slowestSync = .milliseconds(1 + Int64(often(120)))
    plan.clockSkew = .milliseconds(Int64(often(400)))
    plan.driftPartsPerMillion = often(20_000)
    if nodes >= 4, generator.chance(partsPerMillion: 250_000) {
      let first = generator.index(below: nodes)
      plan.neverLinked = [[first, (first + 1 + generator.index(below: nodes - 1)) % nodes]]
    }
    // Each kind has a weight; most seeds have most weights at zero.
    let kinds = 13
    let weights = (0..<kinds).map { _ in often(8) }
    let total = weights.reduce(0, +)
    let count = total == 0 ? 0 : Int(generator.next(below: 14))
    let span = (end - Instant.zero) - .seconds(1)
    for _ in 0..<count {
      var draw = generator.fork()
      var left = draw.next(below: total)
      var kind = 0
      while left >= weights[kind] {
        left -= weights[kind]
        kind += 1
      }
      let node = draw.index(below: nodes)
      let at = Instant.zero + .milliseconds(500) + draw.span(upTo: span)
      let length = draw.chance(partsPerMillion: 500_000) ? draw.span(upTo: .seconds(1)) : draw.span(upTo: .seconds(8))
      var side = (0..<nodes).filter { _ in draw.chance(partsPerMillion: 500_000) }
      if side.isEmpty { side = [node] }
      let jump = Microseconds.milliseconds(Int64(draw.next(below: 4_000)) - 2_000)
      let drawn: Fault.Kind? =
        switch kind {
        case 0: .crash(node: node)
        case 1: .blackout
        case 2: .syncError(node: node)
        case 3: .diskFull(node: node)
        case 4: forgetful.map { .journalDamage(node: $0) }
        case 5: forgetful.map { .journalLoss(node: $0) }
        case 6: .blockDamage(node: node)
        case 7: .pause(node: node)
        case 8: .clockJump(node: node, by: jump)
        case 9: .partition(side: side)
        case 10: .oneWay(from: side)
        case 11: .swizzle(node: node)
        default: .mute(node: node)
        }
      guard let drawn else { continue }
      plan.faults.append(
        Fault(number: plan.faults.count + 1, kind: drawn, at: min(at, end), length: min(length, end - min(at, end))))
    }
    return plan
  }
}
