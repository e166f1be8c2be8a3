/// A table for people: columns as wide as their widest cell, two blanks between them.
package struct TextTable: Sendable {
  /// How the cells of a column are set.
  package enum Alignment: Sendable {
    case left, right
  }

  private var columns: [(title: String, alignment: Alignment)]
  private var rows: [[String]] = []

  /// A table with these columns.
  package init(_ columns: [(title: String, alignment: Alignment)]) {
    self.columns = columns
  }

  /// A table with these columns.
  package init(_ columns: (title: String, alignment: Alignment)...) {
    self.columns = columns
  }

  /// A table with left-set columns.
  package init(_ titles: String...) {
    columns = titles.map { ($0, .left) }
  }

  /// Adds a row; missing cells are empty, superfluous ones are dropped.
  package mutating func add(_ cells: [String]) {
    let fitting = cells.prefix(columns.count).map { Self.printable($0) }
    rows.append(fitting + Array(repeating: "", count: columns.count - fitting.count))
  }

  /// The table with its heading in bold where `style` says so; lines end in a newline and never in blanks.
  package func rendered(style: TextStyle) -> String {
    let widths = columns.indices.map { column in
      max(columns[column].title.count, rows.map { $0[column].count }.max() ?? 0)
    }
    func line(_ cells: [String]) -> String {
      var text = ""
      for (column, cell) in cells.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        text += columns[column].alignment == .left ? cell + padding : padding + cell
        text += "  "
      }
      while text.last == " " { text.removeLast() }
      return text
    }
    var text = style.bold(line(columns.map(\.title))) + "\n"
    for row in rows { text += line(row) + "\n" }
    return text
  }

  /// Names and labels come from other people's nodes: no escape sequence of theirs may reach a terminal.
  package static func printable(_ text: String, keepingLines: Bool = false) -> String {
    let scalars = text.unicodeScalars.map { scalar in
      let isKept = scalar.properties.generalCategory != .control || keepingLines && scalar == "\n"
      return isKept ? scalar : "\u{FFFD}"
    }
    return String(String.UnicodeScalarView(scalars))
  }
}

/// Names and values, one pair a line, the values in one column.
package struct TextFields: Sendable {
  private var pairs: [(name: String, value: String)] = []

  /// No pairs yet.
  package init() {}

  /// Adds a pair; nothing when the value is nil.
  package mutating func add(_ name: String, _ value: String?) {
    guard let value else { return }
    pairs.append((name, TextTable.printable(value)))
  }

  /// The pairs, names in bold where `style` says so.
  package func rendered(style: TextStyle) -> String {
    let width = pairs.map(\.name.count).max() ?? 0
    return pairs.map { pair in
      style.bold(pair.name) + String(repeating: " ", count: width - pair.name.count + 2) + pair.value + "\n"
    }.joined()
  }
}

/// Whether output may be coloured.
package struct TextStyle: Sendable, Equatable {
  /// Whether escape sequences are written.
  package var isColoured: Bool

  /// Plain or coloured.
  package init(isColoured: Bool) {
    self.isColoured = isColoured
  }

  /// Coloured on a terminal that is not `dumb`, unless `NO_COLOR` holds anything (no-color.org).
  package init(isTerminal: Bool, environment: [String: String]) {
    isColoured = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
  }

  /// Bold.
  package func bold(_ text: String) -> String { wrap(text, "1") }
  /// Green: all is well.
  package func good(_ text: String) -> String { wrap(text, "32") }
  /// Yellow: worth a look.
  package func caution(_ text: String) -> String { wrap(text, "33") }
  /// Red: something is wrong.
  package func bad(_ text: String) -> String { wrap(text, "31") }

  private func wrap(_ text: String, _ code: String) -> String {
    isColoured ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }
}
