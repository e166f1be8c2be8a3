/// A point in civil time, to the microsecond, UTC. In JSON it is an RFC 3339 string such as
/// `2026-02-28T23:59:59.000001Z`.
package struct WallTime: Sendable, Hashable, Comparable {
  /// Microseconds since 1970-01-01T00:00:00Z, without leap seconds; negative before.
  package var microsecondsSinceEpoch: Int64

  /// The time that is that many microseconds after the Unix epoch.
  package init(microsecondsSinceEpoch: Int64) {
    self.microsecondsSinceEpoch = microsecondsSinceEpoch
  }

  /// Earlier is less.
  package static func < (left: WallTime, right: WallTime) -> Bool {
    left.microsecondsSinceEpoch < right.microsecondsSinceEpoch
  }
}

extension WallTime: CustomStringConvertible {
  private static let microsecondsPerDay: Int64 = 86_400_000_000

  /// The last time that RFC 3339, with its four digits for the year, has a word for: the end of the year 9999.
  package static let latest = WallTime(microsecondsSinceEpoch: 253_402_300_800_000_000 - 1)
  /// The first one: the beginning of the year 0.
  package static let earliest = WallTime(microsecondsSinceEpoch: -62_167_219_200_000_000)

  /// RFC 3339 with six fractional digits; the nearest time that it has a word for, since others' clocks and records may say
  /// anything, and what is written must be readable. The proleptic Gregorian date is found by counting in 400-year eras that
  /// begin on 1 March, so that the leap day comes last (H. Hinnant, "chrono-compatible low-level date algorithms").
  package var description: String {
    let time = min(max(self, .earliest), .latest)
    let (days, inDay) = Self.floorDivide(time.microsecondsSinceEpoch, by: Self.microsecondsPerDay)
    let (era, dayOfEra) = Self.floorDivide(days + 719_468, by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let seconds = inDay / 1_000_000
    return Self.padded(year, 4) + "-" + Self.padded(month, 2) + "-" + Self.padded(day, 2) + "T"
      + Self.padded(seconds / 3600, 2) + ":" + Self.padded(seconds / 60 % 60, 2) + ":" + Self.padded(seconds % 60, 2)
      + "." + Self.padded(inDay % 1_000_000, 6) + "Z"
  }

  /// Reads RFC 3339 in UTC (`Z`) with zero to six fractional digits; nil for anything else.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes.count <= 27, bytes.last == UInt8(ascii: "Z") else { return nil }
    for (index, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] where bytes[index] != mark.utf8.first {
      return nil
    }
    guard
      let year = Self.number(bytes[0..<4]), let month = Self.number(bytes[5..<7]), (1...12).contains(month),
      let day = Self.number(bytes[8..<10]), (1...31).contains(day),
      let hour = Self.number(bytes[11..<13]), hour < 24, let minute = Self.number(bytes[14..<16]), minute < 60,
      let second = Self.number(bytes[17..<19]), second < 60
    else { return nil }
    var fraction: Int64 = 0
    if bytes.count > 20 {
      let digits = bytes[20..<(bytes.count - 1)]
      guard bytes[19] == UInt8(ascii: "."), !digits.isEmpty, let value = Self.number(digits) else { return nil }
      fraction = value
      for _ in digits.count..<6 { fraction *= 10 }
    }
    let shiftedYear = month <= 2 ? year - 1 : year
    let (era, yearOfEra) = Self.floorDivide(shiftedYear, by: 400)
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    let time = WallTime(
      microsecondsSinceEpoch: days * Self.microsecondsPerDay
        + ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)
    // A day that its month does not have (31 April) comes out as another date.
    guard time.description.utf8.prefix(10).elementsEqual(bytes[0..<10]) else { return nil }
    self = time
  }

  private static func floorDivide(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
    var value: Int64 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + Int64(digit - UInt8(ascii: "0"))
    }
    return value
  }
}

extension WallTime: Codable {
  /// Reads the RFC 3339 string.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let time = WallTime(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not a time in RFC 3339 UTC")
    }
    self = time
  }

  /// Writes the RFC 3339 string.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
