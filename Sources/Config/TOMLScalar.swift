/// The values of TOML that are neither string, array nor table.
enum TOMLScalar {
  static func read(_ token: String, line: Int) throws(TOMLSyntaxError) -> FoundValue {
    switch token {
    case "true": return .boolean(true)
    case "false": return .boolean(false)
    case "inf", "+inf", "-inf", "nan", "+nan", "-nan": return .other("floating-point number")
    default: break
    }
    if let value = try integer(token, line: line) { return .integer(value) }
    if isFloat(token) { return .other("floating-point number") }
    if isDateOrTime(token) { return .other("date or time") }
    throw TOMLSyntaxError(line: line, message: "\"\(token.prefix(40))\" is no value; a text needs quotes")
  }

  /// Nil when the token is no integer at all.
  private static func integer(_ token: String, line: Int) throws(TOMLSyntaxError) -> Int? {
    let bases: [(String, Int)] = [("0x", 16), ("0o", 8), ("0b", 2)]
    let value: Int?
    if let (prefix, radix) = bases.first(where: { token.hasPrefix($0.0) }) {
      let digits = token.dropFirst(prefix.count)
      guard isGrouped(digits, radix: radix) else { return nil }
      value = Int(digits.filter { $0 != "_" }, radix: radix)
    } else {
      guard isDecimal(token[...]) else { return nil }
      value = Int(token.filter { $0 != "_" })
    }
    guard let value else { throw TOMLSyntaxError(line: line, message: "the integer \(token.prefix(40)) is too large") }
    return value
  }

  /// A sign or none, then digits without a leading zero.
  private static func isDecimal(_ text: Substring) -> Bool {
    let digits = text.hasPrefix("+") || text.hasPrefix("-") ? text.dropFirst() : text
    return isGrouped(digits, radix: 10) && (digits == "0" || !digits.hasPrefix("0"))
  }

  /// Digits, each underscore between two of them.
  private static func isGrouped(_ text: Substring, radix: Int) -> Bool {
    text.split(separator: "_", omittingEmptySubsequences: false).allSatisfy { group in
      !group.isEmpty && group.allSatisfy { $0.isASCII && ($0.hexDigitValue ?? radix) < radix }
    }
  }

  private static func isFloat(_ token: String) -> Bool {
    let halves = token.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
    if halves.count == 2 {
      let exponent = halves[1].hasPrefix("+") || halves[1].hasPrefix("-") ? halves[1].dropFirst() : halves[1]
      guard isGrouped(exponent, radix: 10) else { return false }
    }
    let parts = halves[0].split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, isDecimal(parts[0]) else { return false }
    return parts.count == 2 ? isGrouped(parts[1], radix: 10) : halves.count == 2
  }

  /// By its form only: no key takes one, so it is refused by its name, whatever day it is.
  private static func isDateOrTime(_ token: String) -> Bool {
    let bytes = Array(token.utf8)
    func isDigits(_ range: Range<Int>) -> Bool {
      range.upperBound <= bytes.count && range.allSatisfy { (0x30...0x39).contains(bytes[$0]) }
    }
    let isDate =
      isDigits(0..<4) && isDigits(5..<7) && isDigits(8..<10) && bytes[4] == UInt8(ascii: "-")
      && bytes[7] == UInt8(ascii: "-")
    let isTime = isDigits(0..<2) && isDigits(3..<5) && bytes[2] == UInt8(ascii: ":")
    return isDate || isTime
  }
}
