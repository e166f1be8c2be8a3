/// Finds the lines on which tables and keys of a TOML text stand. TOMLKit keeps no positions of what it parsed;
/// this walks the text again, and is right for every text that parses.
struct TOMLLines {
  private var lines: [[String]: Int] = [:]

  /// The line of a key or table, or of the nearest table around it that the text names. Counted from 1.
  func line(of path: [String]) -> Int? {
    var path = path
    while !path.isEmpty {
      if let line = lines[path] { return line }
      path.removeLast()
    }
    return nil
  }

  init(_ text: String) {
    var scanner = Scanner(bytes: Array(text.utf8))
    var table: [String] = []
    while !scanner.isAtEnd {
      scanner.skipBlanks()
      let line = scanner.line
      switch scanner.peek {
      case UInt8(ascii: "["):
        scanner.advance()
        if scanner.peek == UInt8(ascii: "[") { scanner.advance() }
        table = scanner.keyPath()
        note(table, line)
        scanner.skipValue()
      case UInt8(ascii: "#"), UInt8(ascii: "\n"), nil: scanner.skipValue()
      default:
        let path = table + scanner.keyPath()
        note(path, line)
        scanner.skipValue()
      }
    }
  }

  private mutating func note(_ path: [String], _ line: Int) {
    if lines[path] == nil { lines[path] = line }
  }

  private struct Scanner {
    let bytes: [UInt8]
    var position = 0
    var line = 1

    var isAtEnd: Bool { position >= bytes.count }
    var peek: UInt8? { isAtEnd ? nil : bytes[position] }

    mutating func advance() {
      if peek == UInt8(ascii: "\n") { line += 1 }
      position += 1
    }

    mutating func skipBlanks() {
      while let byte = peek, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r") {
        advance()
      }
    }

    /// A dotted key up to `=`, `]` or the end of the line, quotes taken off.
    mutating func keyPath() -> [String] {
      var path: [String] = []
      while true {
        skipBlanks()
        guard let byte = peek else { return path }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): path.append(quoted(byte))
        case UInt8(ascii: "."): advance()
        case UInt8(ascii: "="), UInt8(ascii: "]"), UInt8(ascii: "\n"), UInt8(ascii: "#"): return path
        default: path.append(bareKey())
        }
      }
    }

    private mutating func bareKey() -> String {
      let start = position
      let ends = Array(".=] \t\r\n#\"'".utf8)
      repeat { advance() } while !isAtEnd && !ends.contains(bytes[position])
      return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// A one-line string. Escapes stay as they are: a key that needs one is unknown anyway.
    private mutating func quoted(_ quote: UInt8) -> String {
      advance()
      let start = position
      while let byte = peek, byte != quote, byte != UInt8(ascii: "\n") {
        if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") { advance() }
        if !isAtEnd { advance() }
      }
      let text = String(decoding: bytes[start..<min(position, bytes.count)], as: UTF8.self)
      if peek == quote { advance() }
      return text
    }

    /// To the start of the next line that begins a table or a key: over strings, arrays and comments.
    mutating func skipValue() {
      var depth = 0
      while let byte = peek {
        switch byte {
        case UInt8(ascii: "\n"):
          advance()
          if depth <= 0 { return }
        case UInt8(ascii: "#"):
          while let next = peek, next != UInt8(ascii: "\n") { advance() }
        case UInt8(ascii: "["), UInt8(ascii: "{"):
          depth += 1
          advance()
        case UInt8(ascii: "]"), UInt8(ascii: "}"):
          depth -= 1
          advance()
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
          if isTriple(byte) { skipTriple(byte) } else { _ = quoted(byte) }
        default: advance()
        }
      }
    }

    private func isTriple(_ quote: UInt8) -> Bool {
      position + 2 < bytes.count && bytes[position + 1] == quote && bytes[position + 2] == quote
    }

    private mutating func skipTriple(_ quote: UInt8) {
      for _ in 0..<3 { advance() }
      while !isAtEnd {
        if peek == quote, isTriple(quote) {
          for _ in 0..<3 { advance() }
          // Up to two quotes may stand right before the closing three.
          while peek == quote { advance() }
          return
        }
        if peek == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") { advance() }
        if !isAtEnd { advance() }
      }
    }
  }
}
