/// Amounts as people type and read them.
package enum Quantity {
  /// Microcredits in one credit.
  package static let microcreditsPerCredit: UInt64 = 1_000_000

  /// Reads a size: `512M`, `1.5GiB`, `2GB`, `4096`. `K M G T` and `KiB`… are powers of 1024, `KB`… powers of 1000.
  /// Nil when it is none or over 2^64 - 1.
  package static func bytes(_ text: String) -> UInt64? {
    let units: [(String, UInt64)] = [
      ("", 1), ("b", 1), ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("t", 1 << 40),
      ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40),
      ("kb", 1000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("tb", 1_000_000_000_000),
    ]
    return scaled(text, units: units)
  }

  /// Reads a time and gives whole seconds, rounded up: `90`, `60s`, `5m`, `2h`, `1d`, `500ms`. Nil when it is none.
  package static func seconds(_ text: String) -> UInt64? {
    let units: [(String, UInt64)] = [
      ("", 1000), ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]
    guard let milliseconds = scaled(text, units: units) else { return nil }
    return milliseconds / 1000 + (milliseconds % 1000 == 0 ? 0 : 1)
  }

  /// Reads an amount of credits and gives microcredits: `25`, `0.000001`. Nil when it is none, or finer than that.
  package static func microcredits(_ text: String) -> UInt64? {
    scaled(text, units: [("", microcreditsPerCredit)], exact: true)
  }

  /// An amount of credits without superfluous zeros, such as `25` or `0.0125`.
  package static func credits(_ microcredits: UInt64) -> String {
    let (whole, part) = microcredits.quotientAndRemainder(dividingBy: microcreditsPerCredit)
    guard part > 0 else { return String(whole) }
    var digits = String(part)
    digits = String(repeating: "0", count: 6 - digits.count) + digits
    while digits.last == "0" { digits.removeLast() }
    return "\(whole).\(digits)"
  }

  /// A size with one decimal and a binary unit, such as `1.5 GiB`.
  package static func size(_ bytes: UInt64) -> String {
    guard bytes >= 1024 else { return "\(bytes) B" }
    var unit = 0
    var value = bytes
    while value >= 1024 * 1024, unit < 5 {
      value >>= 10
      unit += 1
    }
    let tenths = value * 10 / 1024
    return "\(tenths / 10).\(tenths % 10) \(["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][unit])"
  }

  /// A time in its two largest units, such as `3d 4h` or `12s`.
  package static func duration(seconds: UInt64) -> String {
    let parts: [(UInt64, String)] = [
      (seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"),
    ]
    guard let first = parts.firstIndex(where: { $0.0 > 0 }) else { return "0s" }
    return parts[first...].prefix(2).filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined(separator: " ")
  }

  /// A round-trip time such as `830 µs` or `12.4 ms`.
  package static func roundTrip(microseconds: UInt64) -> String {
    guard microseconds >= 1000 else { return "\(microseconds) µs" }
    return "\(microseconds / 1000).\(microseconds % 1000 / 100) ms"
  }

  /// A span such as `830 µs`, `12.4 ms`, `1.5 s` or `2m 5s`.
  package static func span(microseconds: UInt64) -> String {
    guard microseconds >= 1_000_000 else { return roundTrip(microseconds: microseconds) }
    let seconds = microseconds / 1_000_000
    guard seconds < 60 else { return duration(seconds: seconds) }
    return "\(seconds).\(microseconds / 100_000 % 10) s"
  }

  /// A difference of clocks such as `+12.4 ms`.
  package static func offset(microseconds: Int64) -> String {
    (microseconds < 0 ? "-" : "+") + span(microseconds: microseconds.magnitude)
  }

  /// A decimal number with at most nine fractional digits, times the factor of its unit; `exact` refuses a result
  /// that is not whole, otherwise it is rounded up.
  private static func scaled(_ text: String, units: [(String, UInt64)], exact: Bool = false) -> UInt64? {
    let number = text.prefix { ("0"..."9").contains($0) || $0 == "." }
    let suffix = text.dropFirst(number.count).drop { $0 == " " }.lowercased()
    guard let factor = units.first(where: { $0.0 == suffix })?.1 else { return nil }
    let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, !first.isEmpty, let whole = UInt64(first) else { return nil }
    let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
    guard !overflow else { return nil }
    guard parts.count == 2 else { return product }
    guard (1...9).contains(parts[1].count), let fraction = UInt64(parts[1]) else { return nil }
    let divisor = (0..<parts[1].count).reduce(UInt64(1)) { power, _ in power * 10 }
    let wide = fraction.multipliedFullWidth(by: factor)
    let (quotient, remainder) = divisor.dividingFullWidth(wide)
    if exact, remainder > 0 { return nil }
    let (sum, carry) = product.addingReportingOverflow(quotient + (remainder > 0 ? 1 : 0))
    return carry ? nil : sum
  }
}
