import Foundation

/// What a key accepts: its type and bounds. Checks found values and says what it expected.
enum ValueKind: Sendable {
  case boolean
  case integer(ClosedRange<UInt64>)
  /// An integer, or a string such as `"4GiB"`.
  case bytes(ClosedRange<UInt64>)
  /// An integer, or a string such as `"10s"`; whole seconds.
  case seconds(ClosedRange<UInt64>)
  /// Printable text of so many bytes.
  case text(ClosedRange<Int>)
  case choice([String])
  /// A path, made absolute; of at most so many bytes, with the reason for that bound.
  case path(maximumBytes: Int, because: String)
  /// An array of texts, each accepted by `check`, which returns the canonical form.
  case list(
    of: String, count: ClosedRange<Int>, check: @Sendable (String) throws(ValueRefusal) -> String)

  /// Most bytes of a path on Linux (PATH_MAX, without the terminator).
  static let maximumPathBytes = 4095
  /// Most bytes of a Unix socket's path (`sun_path`, without the terminator).
  static let maximumSocketPathBytes = 107

  /// What is accepted, for a person.
  var expectation: String {
    switch self {
    case .boolean: "true or false"
    case .integer(let range): "an integer from \(range.lowerBound) to \(range.upperBound)"
    case .bytes(let range):
      (range.upperBound >= UInt64(Int64.max)
        ? "a size of at least \(range.lowerBound) bytes"
        : "a size from \(range.lowerBound) to \(range.upperBound) bytes")
        + ", an integer or a string such as \"4GiB\""
    case .seconds(let range):
      "whole seconds from \(range.lowerBound) to \(range.upperBound), an integer or a string such as \"10s\""
    case .text(let range): "a string of \(range.lowerBound) to \(range.upperBound) bytes"
    case .choice(let names): "one of " + names.map { "\"\($0)\"" }.joined(separator: ", ")
    case .path: "a path"
    case .list(let element, let count, _):
      "an array of \(count.lowerBound) to \(count.upperBound) strings, each \(element)"
    }
  }

  /// Turns a found value into a checked one, or refuses it. Relative paths are taken from `directory`.
  func check(_ found: FoundValue, relativeTo directory: String) throws(ValueRefusal) -> ConfigurationValue {
    switch (self, found) {
    case (.boolean, .boolean(let value)): return .boolean(value)
    case (.boolean, .bare("true")): return .boolean(true)
    case (.boolean, .bare("false")): return .boolean(false)

    case (.integer(let range), .integer(let value)), (.bytes(let range), .integer(let value)),
      (.seconds(let range), .integer(let value)):
      guard let value = UInt64(exactly: value), range.contains(value) else { throw outOfBounds(found) }
      return .integer(value)
    case (.integer(let range), .bare(let text)):
      guard let value = Self.decimal(text) else { throw wrongType(found) }
      guard range.contains(value) else { throw outOfBounds(found) }
      return .integer(value)
    case (.bytes(let range), .text(let text)), (.bytes(let range), .bare(let text)):
      guard let value = Self.scaled(text, units: Self.byteUnits) else { throw outOfBounds(found) }
      guard range.contains(value) else { throw outOfBounds(found) }
      return .integer(value)
    case (.seconds(let range), .text(let text)), (.seconds(let range), .bare(let text)):
      guard let value = Self.scaled(text, units: Self.secondUnits) else { throw outOfBounds(found) }
      guard range.contains(value) else { throw outOfBounds(found) }
      return .integer(value)

    case (.text(let range), .text(let text)), (.text(let range), .bare(let text)):
      guard range.contains(text.utf8.count), Self.isPrintable(text) else { throw outOfBounds(found) }
      return .text(text)
    case (.choice(let names), .text(let text)), (.choice(let names), .bare(let text)):
      guard names.contains(text) else {
        throw ValueRefusal(
          code: .invalidValue,
          message: "expected \(expectation), found \(found.described)" + Spelling.hint(for: text, among: names))
      }
      return .text(text)
    case (.path(let maximum, let reason), .text(let text)), (.path(let maximum, let reason), .bare(let text)):
      return .text(try Self.path(text, relativeTo: directory, maximumBytes: maximum, because: reason))

    case (.list(_, let count, let check), .list(let values)):
      var texts: [String] = []
      for value in values {
        guard case .text(let text) = value else {
          throw ValueRefusal(
            code: .wrongType, message: "expected \(expectation), found \(value.described) in the array")
        }
        texts.append(try check(text))
      }
      return try list(texts, count: count, found: found)
    case (.list(_, let count, let check), .bare(let text)):
      var texts: [String] = []
      for piece in text.split(separator: ",") {
        texts.append(try check(piece.trimmingCharacters(in: .whitespaces)))
      }
      return try list(texts, count: count, found: found)
    default: throw wrongType(found)
    }
  }

  private func list(
    _ texts: [String], count: ClosedRange<Int>, found: FoundValue
  ) throws(ValueRefusal) -> ConfigurationValue {
    guard count.contains(texts.count) else {
      throw ValueRefusal(
        code: .invalidValue, message: "expected \(expectation), found an array of \(texts.count)")
    }
    if let twice = texts.enumerated().first(where: { texts[..<$0.offset].contains($0.element) }) {
      throw ValueRefusal(code: .invalidValue, message: "\"\(twice.element)\" is there twice: remove one")
    }
    return .list(texts)
  }

  private func wrongType(_ found: FoundValue) -> ValueRefusal {
    ValueRefusal(code: .wrongType, message: "expected \(expectation), found \(found.described)")
  }

  private func outOfBounds(_ found: FoundValue) -> ValueRefusal {
    ValueRefusal(code: .invalidValue, message: "expected \(expectation), found \(found.described)")
  }

  static let byteUnits: [(suffix: String, factor: UInt64)] = [
    ("", 1), ("b", 1), ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40), ("pib", 1 << 50),
    ("kb", 1000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("tb", 1_000_000_000_000),
  ]
  static let secondUnits: [(suffix: String, factor: UInt64)] = [
    ("", 1), ("s", 1), ("m", 60), ("min", 60), ("h", 3600), ("d", 86400),
  ]

  /// `12`, `12 GiB`, `1_000MB`: digits, then a unit of `units` in any case. Nil when it is neither or too large.
  static func scaled(_ text: String, units: [(suffix: String, factor: UInt64)]) -> UInt64? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == "_") }
    let suffix = text.dropFirst(digits.count).trimmingCharacters(in: .whitespaces).lowercased()
    guard let number = decimal(String(digits)), let unit = units.first(where: { $0.suffix == suffix }) else {
      return nil
    }
    let (value, overflow) = number.multipliedReportingOverflow(by: unit.factor)
    return overflow ? nil : value
  }

  private static func decimal(_ text: String) -> UInt64? {
    guard let first = text.utf8.first, (0x30...0x39).contains(first) else { return nil }
    return UInt64(text.filter { $0 != "_" })
  }

  private static func isPrintable(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
      && text.trimmingCharacters(in: .whitespaces) == text
  }

  static func path(
    _ text: String, relativeTo directory: String, maximumBytes: Int, because reason: String
  ) throws(ValueRefusal) -> String {
    guard !text.isEmpty, !text.unicodeScalars.contains(where: { $0.value < 0x20 }) else {
      throw ValueRefusal(
        code: .invalidValue, message: "expected a path, found \(ConfigurationValue.text(text).rendered)")
    }
    guard !text.hasPrefix("~") else {
      throw ValueRefusal(
        code: .invalidValue, message: "\"~\" is not expanded here: write the whole path instead of \"\(text)\"")
    }
    let absolute = text.hasPrefix("/") ? text : directory + "/" + text
    var pieces: [Substring] = []
    for piece in absolute.split(separator: "/") where piece != "." {
      pieces.append(piece)
    }
    let clean = "/" + pieces.joined(separator: "/")
    guard clean.utf8.count <= maximumBytes else {
      throw ValueRefusal(
        code: .invalidValue,
        message:
          "the path \"\(clean)\" has \(clean.utf8.count) bytes; \(reason) at most \(maximumBytes). Choose a shorter one"
      )
    }
    return clean
  }
}
