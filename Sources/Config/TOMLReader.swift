/// Reads TOML 1.0 statement by statement.
struct TOMLReader {
  enum Statement {
    case header([String])
    case arrayHeader([String])
    case assignment(TOMLDocument.Item)
  }

  /// Deepest arrays and inline tables; the reader recurses on them.
  static let maximumDepth = 32

  private let bytes: [UInt8]
  private var position = 0
  /// The line of `position`, counted from 1.
  private(set) var line = 1

  init(_ text: String) {
    var text = text[...]
    if text.unicodeScalars.first?.value == 0xFEFF { text.unicodeScalars.removeFirst() }
    bytes = Array(text.utf8)
  }

  // MARK: Bytes

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func advance(_ count: Int = 1) {
    for _ in 0..<count where position < bytes.count {
      if bytes[position] == UInt8(ascii: "\n") { line += 1 }
      position += 1
    }
  }

  private func startsWith(_ text: StaticString) -> Bool {
    let length = text.utf8CodeUnitCount
    return position + length <= bytes.count
      && bytes[position..<position + length].elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: length))
  }

  private mutating func take(_ byte: Character) -> Bool {
    guard let value = byte.asciiValue, peek == value else { return false }
    advance()
    return true
  }

  private func failure(_ message: String) -> TOMLSyntaxError { TOMLSyntaxError(line: line, message: message) }

  /// What stands here, for a person.
  private var here: String {
    guard let byte = peek else { return "the end of the file" }
    if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") { return "the end of the line" }
    if byte < 0x20 || byte == 0x7F { return "a control character" }
    let rest = String(decoding: bytes[position..<min(position + 4, bytes.count)], as: UTF8.self)
    return "\"\(rest.prefix(1))\""
  }

  // MARK: Space and comments

  private mutating func skipBlanks() {
    while let byte = peek, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { advance() }
  }

  private mutating func skipComment() throws(TOMLSyntaxError) {
    guard peek == UInt8(ascii: "#") else { return }
    while let byte = peek, byte != UInt8(ascii: "\n"), !startsWith("\r\n") {
      guard !Self.isControl(byte) else { throw failure("a control character in a comment") }
      advance()
    }
  }

  private mutating func takeLineEnd() -> Bool {
    if startsWith("\r\n") {
      advance(2)
      return true
    }
    return take("\n")
  }

  private mutating func endOfStatement() throws(TOMLSyntaxError) {
    skipBlanks()
    try skipComment()
    guard peek == nil || takeLineEnd() else { throw failure("expected the end of the line, found \(here)") }
  }

  private mutating func skipBlanksAndLines() throws(TOMLSyntaxError) {
    repeat {
      skipBlanks()
      try skipComment()
    } while takeLineEnd()
  }

  private static func isControl(_ byte: UInt8) -> Bool { (byte < 0x20 && byte != 0x09) || byte == 0x7F }

  // MARK: Statements

  /// Goes to the next statement. Returns false at the end of the text.
  mutating func nextStatement() throws(TOMLSyntaxError) -> Bool {
    try skipBlanksAndLines()
    return peek != nil
  }

  mutating func statement() throws(TOMLSyntaxError) -> Statement {
    let result: Statement
    if take("[") {
      let isArray = take("[")
      let path = try keyPath()
      guard take("]"), !isArray || take("]") else {
        throw failure("expected \"\(isArray ? "]]" : "]")\" after the name of a section, found \(here)")
      }
      result = isArray ? .arrayHeader(path) : .header(path)
    } else {
      result = .assignment(try assignment(depth: 0))
    }
    try endOfStatement()
    return result
  }

  private mutating func assignment(depth: Int) throws(TOMLSyntaxError) -> TOMLDocument.Item {
    let line = line
    let path = try keyPath()
    guard take("=") else { throw failure("expected \"=\" after the key \(path.joined(separator: ".")), found \(here)") }
    skipBlanks()
    return TOMLDocument.Item(path: path, line: line, value: try value(depth: depth))
  }

  private mutating func keyPath() throws(TOMLSyntaxError) -> [String] {
    var path: [String] = []
    repeat {
      skipBlanks()
      path.append(try key())
      skipBlanks()
    } while take(".")
    return path
  }

  private mutating func key() throws(TOMLSyntaxError) -> String {
    switch peek {
    case UInt8(ascii: "\""): return try basicString()
    case UInt8(ascii: "'"): return try literalString()
    default:
      let start = position
      while let byte = peek, Self.isBare(byte) { advance() }
      guard position > start else { throw failure("expected a key, found \(here)") }
      return String(decoding: bytes[start..<position], as: UTF8.self)
    }
  }

  private static func isBare(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
    default: false
    }
  }

  // MARK: Values

  private mutating func value(depth: Int) throws(TOMLSyntaxError) -> FoundValue {
    guard depth < Self.maximumDepth else { throw failure("arrays deeper than \(Self.maximumDepth)") }
    switch peek {
    case UInt8(ascii: "\""): return .text(startsWith("\"\"\"") ? try multilineBasic() : try basicString())
    case UInt8(ascii: "'"): return .text(startsWith("'''") ? try multilineLiteral() : try literalString())
    case UInt8(ascii: "["): return .list(try array(depth: depth))
    case UInt8(ascii: "{"): return .table(try inlineTable(depth: depth))
    default: return try TOMLScalar.read(token(), line: line)
    }
  }

  private mutating func array(depth: Int) throws(TOMLSyntaxError) -> [FoundValue] {
    let start = line
    advance()
    var values: [FoundValue] = []
    while true {
      try skipBlanksAndLines()
      if take("]") { return values }
      guard peek != nil else { throw TOMLSyntaxError(line: start, message: "the array is not closed by \"]\"") }
      values.append(try value(depth: depth + 1))
      try skipBlanksAndLines()
      guard take(",") || peek == UInt8(ascii: "]") else {
        throw failure("expected \",\" or \"]\" in the array, found \(here)")
      }
    }
  }

  private mutating func inlineTable(depth: Int) throws(TOMLSyntaxError) -> [TOMLDocument.Item] {
    advance()
    skipBlanks()
    if take("}") { return [] }
    var items: [TOMLDocument.Item] = []
    while true {
      let item = try assignment(depth: depth + 1)
      // A path that begins another, or equals it, would set something twice.
      guard !items.contains(where: { $0.path.starts(with: item.path) || item.path.starts(with: $0.path) }) else {
        throw failure("\"\(item.path.joined(separator: "."))\" is set a second time")
      }
      items.append(item)
      skipBlanks()
      if take("}") { return items }
      guard take(",") else { throw failure("expected \",\" or \"}\" in the inline table, found \(here)") }
    }
  }

  /// A number, boolean, date or time: what runs to the next blank or punctuation. A date and its time may be parted
  /// by one blank.
  private mutating func token() throws(TOMLSyntaxError) -> String {
    func isToken(_ byte: UInt8) -> Bool {
      Self.isBare(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":")
    }
    let start = position
    while let byte = peek, isToken(byte) { advance() }
    guard position > start else { throw failure("expected a value, found \(here)") }
    let isDate = position - start == 10 && bytes[start + 4] == UInt8(ascii: "-")
    if isDate, peek == UInt8(ascii: " "), position + 1 < bytes.count, (0x30...0x39).contains(bytes[position + 1]) {
      advance()
      while let byte = peek, isToken(byte) { advance() }
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  // MARK: Strings

  private mutating func literalString() throws(TOMLSyntaxError) -> String {
    advance()
    let start = position
    while let byte = peek, byte != UInt8(ascii: "'") {
      guard !Self.isControl(byte) else { throw failure("the string is not closed by ' on its line") }
      advance()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard take("'") else { throw failure("the string is not closed by '") }
    return text
  }

  private mutating func basicString() throws(TOMLSyntaxError) -> String {
    advance()
    var text: [UInt8] = []
    while let byte = peek, byte != UInt8(ascii: "\"") {
      guard !Self.isControl(byte) else { throw failure("the string is not closed by \" on its line") }
      if byte == UInt8(ascii: "\\") {
        text += try escape()
      } else {
        text.append(byte)
        advance()
      }
    }
    guard take("\"") else { throw failure("the string is not closed by \"") }
    return String(decoding: text, as: UTF8.self)
  }

  private mutating func multilineLiteral() throws(TOMLSyntaxError) -> String {
    let start = line
    advance(3)
    _ = takeLineEnd()
    var text: [UInt8] = []
    while let byte = peek {
      if startsWith("'''") {
        text += closing(UInt8(ascii: "'"))
        return String(decoding: text, as: UTF8.self)
      }
      try appendMultiline(byte, to: &text)
    }
    throw TOMLSyntaxError(line: start, message: "the string is not closed by '''")
  }

  private mutating func multilineBasic() throws(TOMLSyntaxError) -> String {
    let start = line
    advance(3)
    _ = takeLineEnd()
    var text: [UInt8] = []
    while let byte = peek {
      if startsWith("\"\"\"") {
        text += closing(UInt8(ascii: "\""))
        return String(decoding: text, as: UTF8.self)
      }
      guard byte == UInt8(ascii: "\\") else {
        try appendMultiline(byte, to: &text)
        continue
      }
      let beforeBackslash = self
      advance()
      skipBlanks()
      if takeLineEnd() {
        // A backslash at the end of a line swallows all blanks and line ends up to the next text.
        repeat { skipBlanks() } while takeLineEnd()
      } else {
        self = beforeBackslash
        text += try escape()
      }
    }
    throw TOMLSyntaxError(line: start, message: "the string is not closed by \"\"\"")
  }

  private mutating func appendMultiline(_ byte: UInt8, to text: inout [UInt8]) throws(TOMLSyntaxError) {
    if takeLineEnd() {
      text.append(UInt8(ascii: "\n"))
      return
    }
    guard !Self.isControl(byte) else { throw failure("a control character in a string") }
    text.append(byte)
    advance()
  }

  /// Takes the three closing quotes; up to two more before them belong to the string.
  private mutating func closing(_ quote: UInt8) -> [UInt8] {
    var count = 0
    while peek == quote, count < 5 {
      count += 1
      advance()
    }
    return Array(repeating: quote, count: count - 3)
  }

  private mutating func escape() throws(TOMLSyntaxError) -> [UInt8] {
    advance()
    guard let byte = peek else { throw failure("the string is not closed") }
    switch byte {
    case UInt8(ascii: "u"), UInt8(ascii: "U"):
      advance()
      let length = byte == UInt8(ascii: "u") ? 4 : 8
      let digits = bytes[position..<min(position + length, bytes.count)]
      // UInt32 would take a sign.
      let isHex = digits.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x46).contains($0 & 0xDF) }
      guard digits.count == length, isHex, let number = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
        let scalar = Unicode.Scalar(number)
      else { throw failure("an escape \\\(length == 4 ? "u" : "U") needs \(length) hex digits of a character") }
      advance(length)
      return Array(String(Character(scalar)).utf8)
    default:
      let meanings: [(UInt8, UInt8)] = [
        (UInt8(ascii: "b"), 0x08), (UInt8(ascii: "t"), 0x09), (UInt8(ascii: "n"), 0x0A), (UInt8(ascii: "f"), 0x0C),
        (UInt8(ascii: "r"), 0x0D), (UInt8(ascii: "\""), 0x22), (UInt8(ascii: "\\"), 0x5C),
      ]
      guard let meaning = meanings.first(where: { $0.0 == byte }) else {
        throw failure(
          "no escape begins with a backslash and \(here); a single-quoted string takes backslashes as they are")
      }
      advance()
      return [meaning.1]
    }
  }
}
