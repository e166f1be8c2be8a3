/// A TOML 1.0 text as a flat list of what it sets, each with its line.
///
/// Our own reader: the TOML library at hand (TOMLKit on toml++ 3.4) ends the process by an assertion on texts such
/// as `[,` or `a = [}`, and keeps no positions of values. Dates and floating-point numbers, which no key of node.conf
/// takes, are recognised but not evaluated.
struct TOMLDocument {
  /// Something that the text sets.
  struct Item {
    /// The names from the root; a dotted key or header has several.
    var path: [String]
    /// Counted from 1.
    var line: Int
    /// A header is an empty table.
    var value: FoundValue
  }

  /// In the order of the text.
  private(set) var items: [Item] = []

  /// How a path came to be a table or value; decides whether it may be named again (TOML 1.0, "Table", "Keys").
  private enum Standing {
    /// A value or an inline table: closed.
    case value
    /// Named by a `[header]`.
    case header
    /// Named by `[[header]]`; its keys are not kept, for no key of node.conf is an array of tables.
    case arrayOfTables
    /// Made by a dotted key.
    case dotted
    /// Made on the way to a longer header.
    case implied
  }

  private var standings: [[String]: Standing] = [:]

  init(_ text: String) throws(TOMLSyntaxError) {
    var reader = TOMLReader(text)
    var table: [String] = []
    var isInArrayOfTables = false
    while try reader.nextStatement() {
      let line = reader.line
      switch try reader.statement() {
      case .header(let path):
        isInArrayOfTables = try open(path, line: line)
        table = path
      case .arrayHeader(let path):
        try openArray(path, line: line)
        table = path
        isInArrayOfTables = true
      case .assignment(let item):
        // Elements of an array of tables may repeat keys; none of them has a meaning here.
        if !isInArrayOfTables { try assign(item, in: table) }
      }
    }
  }

  /// Returns whether the header stands inside of an array of tables.
  private mutating func open(_ path: [String], line: Int) throws(TOMLSyntaxError) -> Bool {
    if try imply(path, line: line) { return true }
    switch standings[path] {
    case nil, .implied: standings[path] = .header
    case .header, .dotted, .arrayOfTables, .value: throw repeated(path, line)
    }
    items.append(Item(path: path, line: line, value: .table([])))
    return false
  }

  private mutating func openArray(_ path: [String], line: Int) throws(TOMLSyntaxError) {
    if try imply(path, line: line) { return }
    switch standings[path] {
    case nil:
      standings[path] = .arrayOfTables
      items.append(Item(path: path, line: line, value: .other("array of tables")))
    case .arrayOfTables: break
    case .header, .dotted, .implied, .value: throw repeated(path, line)
    }
  }

  /// Makes the tables around a header. Returns whether one of them is an array of tables.
  private mutating func imply(_ path: [String], line: Int) throws(TOMLSyntaxError) -> Bool {
    for length in 1..<max(1, path.count) {
      let outer = Array(path.prefix(length))
      switch standings[outer] {
      case nil: standings[outer] = .implied
      case .value: throw repeated(outer, line)
      case .arrayOfTables: return true
      case .header, .dotted, .implied: break
      }
    }
    return false
  }

  private mutating func assign(_ item: Item, in table: [String]) throws(TOMLSyntaxError) {
    let path = table + item.path
    for length in (table.count + 1)..<max(table.count + 1, path.count) {
      let outer = Array(path.prefix(length))
      switch standings[outer] {
      case nil: standings[outer] = .dotted
      case .dotted: break
      case .value, .header, .arrayOfTables, .implied: throw repeated(outer, item.line)
      }
    }
    guard standings[path] == nil else { throw repeated(path, item.line) }
    standings[path] = .value
    items.append(Item(path: path, line: item.line, value: item.value))
  }

  private func repeated(_ path: [String], _ line: Int) -> TOMLSyntaxError {
    TOMLSyntaxError(line: line, message: "\"\(path.joined(separator: "."))\" is set a second time")
  }
}

/// Why a text is no TOML.
struct TOMLSyntaxError: Error {
  /// Counted from 1.
  let line: Int
  let message: String
}
