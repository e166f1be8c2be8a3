// The rules as text, in the words that set them.

extension SwitchCondition {
  /// Such as `delay 25ms loss 1%`.
  package var words: [String] {
    var words: [String] = []
    func add(_ name: String, _ text: String?) { if let text { words += [name, text] } }
    add("delay", delayMicroseconds.map(SwitchText.duration))
    add("jitter", jitterMicroseconds.map(SwitchText.duration))
    add("loss", lossPartsPerMillion.map(SwitchText.share))
    add("duplicate", duplicatePartsPerMillion.map(SwitchText.share))
    add("reorder", reorderPartsPerMillion.map(SwitchText.share))
    add("rate", rateBitsPerSecond.map(SwitchText.rate))
    return words
  }
}

extension SwitchRulesView {
  /// One line for what is set for all, for each host and for each path, and for each kind of broken path.
  package var lines: [String] {
    func line(_ words: [String], _ option: String = "") -> String { words.joined(separator: " ") + option }
    var lines: [String] = []
    if !all.isEmpty { lines.append(line(all.words)) }
    lines += hosts.map { line($0.condition.words, " --host \($0.host)") }
    lines += paths.map { line($0.condition.words, " --pair '\($0.from)>\($0.to)'") }
    if !partition.isEmpty {
      lines.append("partition '\(partition.map(SwitchText.list).joined(separator: "|"))'")
    }
    lines += oneWay.map { "oneway '\($0.from)>\($0.to)'" }
    if !deaf.isEmpty { lines.append("deaf \(SwitchText.list(deaf))") }
    if !mute.isEmpty { lines.append("mute \(SwitchText.list(mute))") }
    return lines
  }
}

enum SwitchText {
  static func duration(_ microseconds: Int64) -> String {
    if microseconds == 0 { return "0" }
    if microseconds % 1_000_000 == 0 { return "\(microseconds / 1_000_000)s" }
    return microseconds % 1_000 == 0 ? "\(microseconds / 1_000)ms" : "\(microseconds)us"
  }

  static func share(_ partsPerMillion: UInt32) -> String {
    let fraction = partsPerMillion % 10_000
    guard fraction > 0 else { return "\(partsPerMillion / 10_000)%" }
    var digits = String(fraction)
    digits = String(repeating: "0", count: 4 - digits.count) + digits
    while digits.hasSuffix("0") { digits.removeLast() }
    return "\(partsPerMillion / 10_000).\(digits)%"
  }

  static func rate(_ bitsPerSecond: UInt64) -> String {
    if bitsPerSecond == 0 { return "0" }
    for (unit, factor): (String, UInt64) in [("gbit", 1_000_000_000), ("mbit", 1_000_000)]
    where bitsPerSecond % factor == 0 {
      return "\(bitsPerSecond / factor)\(unit)"
    }
    let rest = bitsPerSecond % 1_000
    let digits = String(repeating: "0", count: 3 - String(rest).count) + String(rest)
    return rest == 0 ? "\(bitsPerSecond / 1_000)kbit" : "\(bitsPerSecond / 1_000).\(digits)kbit"
  }

  /// `1-3,7`
  static func list(_ numbers: [Int]) -> String {
    var parts: [String] = []
    var rest = numbers.sorted()[...]
    while let first = rest.popFirst() {
      var last = first
      while rest.first == last + 1 { last = rest.removeFirst() }
      parts.append(last == first ? "\(first)" : last == first + 1 ? "\(first),\(last)" : "\(first)-\(last)")
    }
    return parts.joined(separator: ",")
  }
}
