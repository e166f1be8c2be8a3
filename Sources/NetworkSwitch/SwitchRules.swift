import Primitives

/// The network between hosts: what becomes of each packet, and when it arrives. Pure: time and the seed are arguments, so
/// the same packets at the same times have the same fate.
///
/// A path is a direction between two hosts. What is set for a path goes before what is set for its hosts, and that before
/// what is set for all, each field by itself. A packet between two hosts that both have a setting meets both: the delays
/// add up, and each host's rate is a line that all its traffic in that direction shares.
package struct SwitchRules: Sendable {
  /// The most hosts.
  package static let maximumHosts = 64
  /// How many bytes may wait for a line of limited rate.
  package static let maximumQueueBytes = 262_144
  private static let million: UInt64 = 1_000_000

  /// The hosts are numbered from 1 to this.
  package let hostCount: Int
  private var all = SwitchCondition()
  private var hosts: [SwitchCondition]
  private var paths: [SwitchCondition]
  private var groups: [[Int]] = []
  private var oneWay: [Bool]
  private var deaf: [Bool]
  private var mute: [Bool]
  /// What the above come to, for each path.
  private var routes: [Route]
  private var lines: [Line]
  private var generator: SeededGenerator
  /// What went over each path, by `index`.
  private var traffic: [SwitchTraffic]

  /// The conditions in force on a path.
  private struct Route {
    var isBlocked = false
    var delayMicroseconds: Int64 = 0
    var jitterMicroseconds: Int64 = 0
    var loss: UInt64 = 0
    var duplicate: UInt64 = 0
    var reorder: UInt64 = 0
    /// Indices of the lines of limited rate on it, two at most.
    var lines: [Int] = []
    /// When the last packet that kept its turn arrives: none that keeps its turn arrives before it.
    var latest = Instant.zero
  }

  /// A line of limited rate, and until when it is busy. In nanoseconds: at 10 Gbit/s a packet takes 1,200 of them.
  private struct Line {
    var bitsPerSecond: UInt64 = 0
    var busyUntilNanoseconds: Int64 = 0
  }

  /// A network that does nothing to any packet.
  package init(hostCount: Int, seed: UInt64) {
    let count = max(1, min(hostCount, SwitchRules.maximumHosts))
    self.hostCount = count
    hosts = Array(repeating: SwitchCondition(), count: count)
    paths = Array(repeating: SwitchCondition(), count: count * count)
    oneWay = Array(repeating: false, count: count * count)
    deaf = Array(repeating: false, count: count)
    mute = Array(repeating: false, count: count)
    routes = Array(repeating: Route(), count: count * count)
    // A line for each path, then one for what each host sends and one for what it receives.
    lines = Array(repeating: Line(), count: count * count + 2 * count)
    traffic = Array(repeating: SwitchTraffic(), count: count * count)
    generator = SeededGenerator(seed: seed)
  }

  private func index(_ from: Int, _ to: Int) -> Int { (from - 1) * hostCount + to - 1 }

  private func isHost(_ number: Int) -> Bool { (1...hostCount).contains(number) }

  // MARK: Packets

  /// Decides about a packet from one host to another; both must be hosts of this network, or it is blocked.
  package mutating func judge(byteCount: Int, from: Int, to: Int, now: Instant) -> SwitchVerdict {
    guard isHost(from), isHost(to) else { return .dropped(.blocked) }
    let index = index(from, to)
    traffic[index].offeredPackets += 1
    traffic[index].offeredBytes += UInt64(byteCount)
    guard !routes[index].isBlocked else {
      traffic[index].blockedPackets += 1
      return .dropped(.blocked)
    }
    if routes[index].loss > 0, generator.chance(partsPerMillion: routes[index].loss) {
      traffic[index].lostPackets += 1
      return .dropped(.lost)
    }
    guard let departure = depart(index, byteCount: byteCount, now: now) else {
      traffic[index].fullPackets += 1
      return .dropped(.full)
    }
    traffic[index].carriedPackets += 1
    traffic[index].carriedBytes += UInt64(byteCount)
    let arrival = arrive(index, departure: departure)
    var copies = 1
    if routes[index].duplicate > 0, generator.chance(partsPerMillion: routes[index].duplicate) {
      copies = 2
      traffic[index].duplicatedPackets += 1
    }
    return .carried(at: arrival, copies: copies)
  }

  /// When the last bit of a packet has left by every line of its path; nil when one of them is full.
  private mutating func depart(_ index: Int, byteCount: Int, now: Instant) -> Instant? {
    guard !routes[index].lines.isEmpty else { return now }
    let nowNanoseconds = now.microseconds * 1_000
    // All have room, or none is charged.
    for line in routes[index].lines {
      let waits = max(0, lines[line].busyUntilNanoseconds - nowNanoseconds)
      let longest = SwitchRules.nanoseconds(SwitchRules.maximumQueueBytes, at: lines[line].bitsPerSecond)
      guard waits + SwitchRules.nanoseconds(byteCount, at: lines[line].bitsPerSecond) <= longest else { return nil }
    }
    var departure = nowNanoseconds
    for line in routes[index].lines {
      lines[line].busyUntilNanoseconds =
        max(nowNanoseconds, lines[line].busyUntilNanoseconds)
        + SwitchRules.nanoseconds(byteCount, at: lines[line].bitsPerSecond)
      departure = max(departure, lines[line].busyUntilNanoseconds)
    }
    return Instant(microseconds: (departure + 999) / 1_000)
  }

  /// How long a line is busy with so many bytes.
  private static func nanoseconds(_ byteCount: Int, at bitsPerSecond: UInt64) -> Int64 {
    Int64(UInt64(byteCount) * 8_000_000_000 / bitsPerSecond)
  }

  private mutating func arrive(_ index: Int, departure: Instant) -> Instant {
    let route = routes[index]
    if route.reorder > 0, generator.chance(partsPerMillion: route.reorder) {
      traffic[index].reorderedPackets += 1
      return departure
    }
    var delay = route.delayMicroseconds
    if route.jitterMicroseconds > 0 {
      delay += generator.span(upTo: Microseconds(2 * route.jitterMicroseconds)).count - route.jitterMicroseconds
    }
    let arrival = max(departure + Microseconds(max(0, delay)), route.latest)
    routes[index].latest = arrival
    return arrival
  }

  // MARK: Rules

  /// Sets what a condition says; hosts that there are not are passed over.
  package mutating func set(_ condition: SwitchCondition, in scope: SwitchScope) {
    switch scope {
    case .all: all.merge(condition)
    case .hosts(let numbers): for number in numbers where isHost(number) { hosts[number - 1].merge(condition) }
    case .paths(let list):
      for path in list where isHost(path.from) && isHost(path.to) { paths[index(path.from, path.to)].merge(condition) }
    }
    resolve()
  }

  /// Splits the hosts: nothing goes from one group to another. Hosts that no group names are one more group. It takes
  /// the place of the partition before it.
  package mutating func partition(_ newGroups: [[Int]]) {
    groups = newGroups.map { $0.filter(isHost) }.filter { !$0.isEmpty }
    resolve()
  }

  /// From now on packets go from a host to others, and none back.
  package mutating func allowOneWay(from: Int, to receivers: [Int]) {
    for receiver in receivers where isHost(from) && isHost(receiver) { oneWay[index(from, receiver)] = true }
    resolve()
  }

  /// Hosts that receive nothing any more.
  package mutating func deafen(_ numbers: [Int]) {
    for number in numbers where isHost(number) { deaf[number - 1] = true }
    resolve()
  }

  /// Hosts whose packets go nowhere any more.
  package mutating func mute(_ numbers: [Int]) {
    for number in numbers where isHost(number) { mute[number - 1] = true }
    resolve()
  }

  /// Everything goes everywhere again; delays, losses and the like stay.
  package mutating func heal() {
    groups = []
    oneWay = Array(repeating: false, count: oneWay.count)
    deaf = Array(repeating: false, count: hostCount)
    mute = Array(repeating: false, count: hostCount)
    resolve()
  }

  /// Takes back every condition of a scope; for all: of hosts and paths too.
  package mutating func clear(_ scope: SwitchScope) {
    switch scope {
    case .all:
      all = SwitchCondition()
      hosts = Array(repeating: SwitchCondition(), count: hostCount)
      paths = Array(repeating: SwitchCondition(), count: paths.count)
    case .hosts(let numbers): for number in numbers where isHost(number) { hosts[number - 1] = SwitchCondition() }
    case .paths(let list):
      for path in list where isHost(path.from) && isHost(path.to) {
        paths[index(path.from, path.to)] = SwitchCondition()
      }
    }
    resolve()
  }

  // MARK: What the rules come to

  private mutating func resolve() {
    var group = Array(repeating: groups.count, count: hostCount)
    for (number, members) in groups.enumerated() { for member in members { group[member - 1] = number } }
    for from in 1...hostCount {
      for to in 1...hostCount {
        let index = index(from, to)
        var route = Route()
        route.isBlocked =
          group[from - 1] != group[to - 1] || deaf[to - 1] || mute[from - 1] || oneWay[self.index(to, from)]
        route.delayMicroseconds = stages(\.delayMicroseconds, from, to).reduce(0, +)
        route.jitterMicroseconds = stages(\.jitterMicroseconds, from, to).reduce(0, +)
        route.loss = SwitchRules.either(stages(\.lossPartsPerMillion, from, to))
        route.duplicate = SwitchRules.either(stages(\.duplicatePartsPerMillion, from, to))
        route.reorder = SwitchRules.either(stages(\.reorderPartsPerMillion, from, to))
        routes[index] = route
        resolveLines(from, to)
      }
    }
  }

  /// A field of the conditions that a packet meets.
  private func stages<Value>(_ field: KeyPath<SwitchCondition, Value?>, _ from: Int, _ to: Int) -> [Value] {
    if let own = paths[index(from, to)][keyPath: field] { return [own] }
    let ends = [hosts[from - 1][keyPath: field], hosts[to - 1][keyPath: field]].compactMap { $0 }
    if !ends.isEmpty { return ends }
    return all[keyPath: field].map { [$0] } ?? []
  }

  /// The chance that at least one of them happens, in parts of a million.
  private static func either(_ chances: [UInt32]) -> UInt64 {
    chances.reduce(0) { so, next in so + UInt64(next) - so * UInt64(next) / million }
  }

  private mutating func resolveLines(_ from: Int, _ to: Int) {
    let index = index(from, to)
    let sending = hosts[from - 1].rateBitsPerSecond
    let receiving = hosts[to - 1].rateBitsPerSecond
    var limits: [(rate: UInt64, line: Int)] = []
    if let own = paths[index].rateBitsPerSecond {
      limits = [(own, index)]
    } else if sending != nil || receiving != nil {
      limits = [
        (sending ?? 0, hostCount * hostCount + from - 1), (receiving ?? 0, hostCount * hostCount + hostCount + to - 1),
      ]
    } else if let common = all.rateBitsPerSecond {
      limits = [(common, index)]
    }
    for (rate, line) in limits where rate > 0 {
      // A line whose rate changes begins with an empty queue: what waited would be counted at the wrong rate.
      if lines[line].bitsPerSecond != rate { lines[line] = Line(bitsPerSecond: rate) }
      routes[index].lines.append(line)
    }
  }

  // MARK: Looking

  /// What went over a path.
  package func traffic(_ path: SwitchPath) -> SwitchTraffic {
    isHost(path.from) && isHost(path.to) ? traffic[index(path.from, path.to)] : SwitchTraffic()
  }

  /// The rules in force.
  package var view: SwitchRulesView {
    var view = SwitchRulesView()
    view.all = all
    let numbers = 1...hostCount
    view.hosts = numbers.compactMap { number in
      hosts[number - 1].isEmpty ? nil : SwitchRulesView.HostRule(host: number, condition: hosts[number - 1])
    }
    for from in numbers {
      for to in numbers {
        let condition = paths[index(from, to)]
        if !condition.isEmpty { view.paths.append(.init(from: from, to: to, condition: condition)) }
        if oneWay[index(from, to)] { view.oneWay.append(SwitchPath(from: from, to: to)) }
      }
    }
    view.partition = groups
    view.deaf = numbers.filter { deaf[$0 - 1] }
    view.mute = numbers.filter { mute[$0 - 1] }
    return view
  }
}
