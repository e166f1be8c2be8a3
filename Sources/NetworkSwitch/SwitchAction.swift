/// What `linnet testnet net` is told, in the order of its words.
package enum SwitchAction: Sendable, Equatable {
  case set(SwitchCondition, SwitchScope)
  case clear(SwitchScope)
  case partition([[Int]])
  case oneWay(from: Int, to: [Int])
  case deaf([Int])
  case mute([Int])
  case heal
  case address(host: Int, [SwitchAddress])
  /// Ends the daemons of hosts as a crash would. Not for the switch.
  case kill([Int])
  /// Starts the daemons of hosts. Not for the switch.
  case start([Int])
}

extension SwitchAction {
  /// The most words at once.
  static let maximumWords = 256

  /// Reads words such as `delay 25ms loss 1% partition 1,2|3,4`.
  ///
  /// - Parameters:
  ///   - words: pairs of a name and a value, and `heal` and `clear`, which have none.
  ///   - hosts: from `--host`: lists of hosts for which conditions are meant.
  ///   - pairs: from `--pair`: `1,2` for both directions between two hosts, `1>2` for one.
  ///   - hostCount: hosts are numbered from 1 to this.
  package static func parse(_ words: [String], hosts: [String] = [], pairs: [String] = [], hostCount: Int)
    throws(SwitchError) -> [SwitchAction]
  {
    guard words.count <= maximumWords, hosts.count + pairs.count <= maximumWords else {
      throw SwitchError("more than \(maximumWords) words at once")
    }
    var reader = SwitchWords(words: words[...], hostCount: hostCount)
    let scope = try reader.scope(hosts: hosts, pairs: pairs)
    var actions: [SwitchAction] = []
    while let action = try reader.next(scope) {
      // Conditions that stand side by side are set at once.
      if case .set(let newer, _) = action, case .set(var before, _)? = actions.last {
        before.merge(newer)
        actions[actions.count - 1] = .set(before, scope)
      } else {
        actions.append(action)
      }
    }
    if scope != .all {
      guard actions.contains(where: \.isScoped) else {
        throw SwitchError("--host and --pair go with delay, jitter, loss, duplicate, reorder, rate or clear")
      }
    }
    return actions
  }

  /// Whether `--host` and `--pair` mean it.
  package var isScoped: Bool {
    switch self {
    case .set, .clear: true
    default: false
    }
  }

  /// Whether something is to be done to hosts, and not only by the switch.
  package var isForHosts: Bool {
    switch self {
    case .address, .kill, .start: true
    default: false
    }
  }

  /// The words that are for the switch, of words that `parse` has read: all but `kill` and `start` with what follows.
  package static func wordsForSwitch(_ words: [String]) -> [String] {
    var kept: [String] = []
    var rest = words[...]
    while let name = rest.popFirst() {
      let values = SwitchWords.valueCount(of: name)
      if name != "kill", name != "start" { kept += [name] + rest.prefix(values) }
      rest = rest.dropFirst(values)
    }
    return kept
  }
}

/// Reads the words of `SwitchAction`.
struct SwitchWords {
  var words: ArraySlice<String>
  let hostCount: Int

  static let names = [
    "delay", "jitter", "loss", "duplicate", "reorder", "rate", "partition", "oneway", "deaf", "mute", "heal", "clear",
    "address", "kill", "start",
  ]

  /// How many words follow a name.
  static func valueCount(of name: String) -> Int {
    switch name {
    case "heal", "clear": 0
    case "address": 2
    default: 1
    }
  }

  func scope(hosts: [String], pairs: [String]) throws(SwitchError) -> SwitchScope {
    guard hosts.isEmpty || pairs.isEmpty else { throw SwitchError("either --host or --pair") }
    if !hosts.isEmpty {
      var numbers: [Int] = []
      for text in hosts { numbers += try list(text) }
      return .hosts(numbers)
    }
    guard !pairs.isEmpty else { return .all }
    var paths: [SwitchPath] = []
    for text in pairs {
      let isOneWay = text.contains(">")
      let ends = text.split(separator: isOneWay ? ">" : ",", omittingEmptySubsequences: false).map(String.init)
      guard ends.count == 2 else { throw SwitchError("'\(text)' is no pair of hosts such as 1,2 or 1>2") }
      let from = try host(ends[0])
      let to = try host(ends[1])
      guard from != to else { throw SwitchError("'\(text)' names one host twice") }
      paths.append(SwitchPath(from: from, to: to))
      if !isOneWay { paths.append(SwitchPath(from: to, to: from)) }
    }
    return .paths(paths)
  }

  mutating func next(_ scope: SwitchScope) throws(SwitchError) -> SwitchAction? {
    guard let name = words.popFirst() else { return nil }
    var condition = SwitchCondition()
    switch name {
    case "heal": return .heal
    case "clear": return .clear(scope)
    case "delay": condition.delayMicroseconds = try duration(after: name)
    case "jitter": condition.jitterMicroseconds = try duration(after: name)
    case "loss": condition.lossPartsPerMillion = try share(after: name)
    case "duplicate": condition.duplicatePartsPerMillion = try share(after: name)
    case "reorder": condition.reorderPartsPerMillion = try share(after: name)
    case "rate": condition.rateBitsPerSecond = try rate(after: name)
    case "partition": return .partition(try groups(value(after: name)))
    case "oneway":
      let text = try value(after: name)
      let ends = text.split(separator: ">", omittingEmptySubsequences: false).map(String.init)
      guard ends.count == 2 else { throw SwitchError("'\(text)' is no direction such as 3>1,2") }
      let from = try host(ends[0])
      let to = try list(ends[1])
      guard !to.contains(from) else { throw SwitchError("'\(text)' names one host on both sides") }
      return .oneWay(from: from, to: to)
    case "deaf": return .deaf(try list(value(after: name)))
    case "mute": return .mute(try list(value(after: name)))
    case "kill": return .kill(try list(value(after: name)))
    case "start": return .start(try list(value(after: name)))
    case "address":
      let number = try host(value(after: name))
      let text = try value(after: name)
      var addresses: [SwitchAddress] = []
      for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        guard let address = SwitchAddress(String(part)) else { throw SwitchError("'\(part)' is no IP address") }
        addresses.append(address)
      }
      return .address(host: number, addresses)
    default:
      throw SwitchError("'\(name)' is none of \(SwitchWords.names.joined(separator: ", "))")
    }
    return .set(condition, scope)
  }

  private mutating func value(after name: String) throws(SwitchError) -> String {
    guard let value = words.popFirst() else { throw SwitchError("'\(name)' needs a value") }
    return value
  }

  // MARK: Hosts

  private func host(_ text: String) throws(SwitchError) -> Int {
    guard let number = Int(text), (1...hostCount).contains(number) else {
      throw SwitchError("'\(text)' is no host: they are numbered from 1 to \(hostCount)")
    }
    return number
  }

  /// `1-3,7`
  private func list(_ text: String) throws(SwitchError) -> [Int] {
    var numbers: [Int] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
      guard (1...2).contains(ends.count) else { throw SwitchError("'\(part)' is no host or range such as 1-6") }
      let first = try host(ends[0])
      let last = try host(ends[ends.count - 1])
      guard first <= last else { throw SwitchError("the range '\(part)' ends before it begins") }
      for number in first...last {
        guard !numbers.contains(number) else { throw SwitchError("'\(text)' names host \(number) twice") }
        numbers.append(number)
      }
    }
    return numbers
  }

  private func groups(_ text: String) throws(SwitchError) -> [[Int]] {
    var groups: [[Int]] = []
    for part in text.split(separator: "|", omittingEmptySubsequences: false) { groups.append(try list(String(part))) }
    let members = groups.flatMap { $0 }
    guard Set(members).count == members.count else { throw SwitchError("'\(text)' names a host in two groups") }
    return groups
  }

  // MARK: Quantities

  /// `25ms`, `1.5s`, `500us`; `0` alone.
  private mutating func duration(after name: String) throws(SwitchError) -> Int64 {
    let text = try value(after: name)
    let scaled = SwitchWords.scaled(text, units: [("us", 1), ("ms", 1_000), ("s", 1_000_000)])
    guard let scaled, scaled <= UInt64(SwitchCondition.maximumMicroseconds) else {
      throw SwitchError(
        "'\(text)' is no time such as 25ms, from 0 to \(SwitchCondition.maximumMicroseconds / 1_000_000)s")
    }
    return Int64(scaled)
  }

  /// `20%`, `0.5%`; `0` alone.
  private mutating func share(after name: String) throws(SwitchError) -> UInt32 {
    let text = try value(after: name)
    guard let parts = SwitchWords.scaled(text, units: [("%", 10_000)]), parts <= 1_000_000 else {
      throw SwitchError("'\(text)' is no share such as 20%, from 0% to 100%")
    }
    return UInt32(parts)
  }

  /// `10mbit`; `0` for no limit.
  private mutating func rate(after name: String) throws(SwitchError) -> UInt64 {
    let text = try value(after: name)
    let units: [(String, UInt64)] = [("kbit", 1_000), ("mbit", 1_000_000), ("gbit", 1_000_000_000)]
    guard let bits = SwitchWords.scaled(text, units: units), bits == 0 || SwitchCondition.rates.contains(bits) else {
      throw SwitchError("'\(text)' is no rate such as 10mbit, from 1kbit to 100gbit, or 0 for no limit")
    }
    return bits
  }

  /// A decimal number with a unit, in whole units of 1; nil when it is none or comes to a fraction.
  static func scaled(_ text: String, units: [(name: String, factor: UInt64)]) -> UInt64? {
    if text == "0" { return 0 }
    // The longest unit that fits: "ms" also ends in "s".
    let fitting = units.filter { text.hasSuffix($0.name) }.max { $0.name.utf8.count < $1.name.utf8.count }
    guard let unit = fitting else { return nil }
    let parts = text.dropLast(unit.name.count).split(separator: ".", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count),
      parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }),
      parts.allSatisfy({ $0.utf8.count <= 9 }), let whole = UInt64(parts[0])
    else { return nil }
    guard parts.count == 2 else { return whole * unit.factor }
    var divisor: UInt64 = 1
    for _ in parts[1].utf8 { divisor *= 10 }
    guard let fraction = UInt64(parts[1]), fraction * unit.factor % divisor == 0 else { return nil }
    return whole * unit.factor + fraction * unit.factor / divisor
  }
}
