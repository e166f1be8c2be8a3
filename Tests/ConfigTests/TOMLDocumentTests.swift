import Testing

@testable import Config

@Suite("TOML")
struct TOMLDocumentTests {
  /// The items of a text, one a line: `LINE path = value`.
  private func read(_ text: String) throws -> [String] {
    try TOMLDocument(text).items.map { "\($0.line) \($0.path.joined(separator: "|")) = \(describe($0.value))" }
  }

  private func describe(_ value: FoundValue) -> String {
    switch value {
    case .boolean(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .text(let text), .bare(let text): ConfigurationValue.text(text).rendered
    case .list(let values): "[" + values.map(describe).joined(separator: " ") + "]"
    case .table(let items):
      "{" + items.map { "\($0.path.joined(separator: "|")):\(describe($0.value))" }.joined(separator: " ") + "}"
    case .other(let name): name
    }
  }

  @Test("statements of every form, each with its line")
  func statements() throws {
    let found = try read(
      """
      top = "a # [no]" # comment
      'quoted key' = 1
      "\\u00e9" . x = true
      [ a . "b" ] # [c]
      one = '''
      two = 1
      '''''
      three = \"\"\"x\\\"\"\"\"
      four = [ 1, [2,
        "]", # ]
      ], ]
      six.seven = { x = "}", y.z = [] }
      six.eight = {}
      \tnine = '\\'
      ten = \"\"\"
      a \\
         b\"\"\"
      """)
    #expect(
      found == [
        #"1 top = "a # [no]""#, "2 quoted key = 1", "3 é|x = true", "4 a|b = {}", #"5 a|b|one = "two = 1\n''""#,
        #"8 a|b|three = "x\"""#, #"9 a|b|four = [1 [2 "]"]]"#, #"12 a|b|six|seven = {x:"}" y|z:[]}"#,
        "13 a|b|six|eight = {}", #"14 a|b|nine = "\\""#, #"15 a|b|ten = "a b""#,
      ])
  }

  @Test(
    "scalars",
    arguments: [
      ("0", "0"), ("-17", "-17"), ("+1_000", "1000"), ("0xDEAD_beef", "3735928559"), ("0o17", "15"), ("0b101", "5"),
      ("9223372036854775807", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808"),
      ("1.5", "floating-point number"), ("-0.0e+9_9", "floating-point number"), ("1E6", "floating-point number"),
      ("nan", "floating-point number"), ("1979-05-27", "date or time"), ("07:32:00", "date or time"),
      ("1979-05-27T07:32:00Z", "date or time"), ("1979-05-27 07:32:00.5-07:00", "date or time"), ("false", "false"),
    ])
  func scalars(text: String, expected: String) throws {
    #expect(try read("a = \(text)") == ["1 a = \(expected)"])
    #expect(try read("a = [\(text), \(text)]") == ["1 a = [\(expected) \(expected)]"])
  }

  @Test(
    "what is no TOML, by its line",
    arguments: [
      ("[,", 1), ("[]", 1), ("[a", 1), ("[a]]", 1), ("[[a]", 1), ("[a] b = 1", 1), ("= 1", 1), ("a", 1), ("a =", 1),
      ("a = [}", 1), ("a = [1 2]", 1), ("\na = [\n1,\n", 2), ("a = [,]", 1), ("a = {b = 1,}", 1), ("a = {\n}", 1),
      ("a = {b = 1, b = 2}", 1), ("a = {b.c = 1, b = 2}", 1), ("a = 1 b = 2", 1), ("a = \"x", 1), ("a = 'x\n'", 1),
      ("a = \"\\q\"", 1), ("a = \"\\ud800\"", 1), ("a = \"\\u12\"", 1), ("a = \"\\u+123\"", 1),
      ("a = '''x\n\n", 1), ("a = \"\"\"\\ x\"\"\"", 1), ("a = 01", 1), ("a = 1__0", 1), ("a = _1", 1), ("a = 1.", 1),
      ("a = .5", 1), ("a = 0x", 1), ("a = -0x1", 1), ("a = 9223372036854775808", 1), ("a = 1979-05-27T'''c", 1),
      ("a = True", 1), ("a = yes", 1), ("\r", 1), ("a = 1 # \u{1}", 1), ("# ok\na = \"\u{7F}\"", 2), ("a.b = \0", 1),
      ("a = 1\na = 2", 2), ("[a]\n[b]\n[a]", 3), ("a.b = 1\n[a]", 2), ("[a.b]\n[a]\nb.c = 1", 3),
      ("a = 1\n[a.b]", 2), ("a = {}\n[a.b]", 2), ("a = {}\na.b = 1", 2), ("[a]\n[[a]]", 2), ("[[a]]\n[a]", 2),
    ])
  func refused(text: String, line: Int) {
    #expect {
      try TOMLDocument(text)
    } throws: { error in
      (error as? TOMLSyntaxError)?.line == line
    }
  }

  @Test("tables may be opened around and inside others, arrays of tables are noted once")
  func tables() throws {
    #expect(try read("[a.b]\n[a]\nc = 1\n[d]\ne.f = 1\n[d.e.g]").count == 6)
    #expect(
      try read("[[a]]\nx = 1\n[a.b]\ny = 1\n[[a]]\nx = 1\n[a.b]\n[c]") == ["1 a = array of tables", "8 c = {}"])
  }

  @Test("line ends, a byte order mark, and nothing at all")
  func edges() throws {
    #expect(try read("\u{FEFF}a = 1\r\nb = '''x\r\ny'''\r\n") == ["1 a = 1", #"2 b = "x\ny""#])
    #expect(try read("").isEmpty)
    #expect(try read("# only\n\n  \t# this").isEmpty)
  }

  @Test("depth is bounded")
  func depth() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(throws: TOMLSyntaxError.self) { try TOMLDocument("a = " + deep) }
    let tables = String(repeating: "{a = ", count: 100_000)
    #expect(throws: TOMLSyntaxError.self) { try TOMLDocument("a = " + tables) }
  }

  @Test("any text is read or refused with a line it has")
  func anyText() throws {
    var state: UInt64 = 7
    let pieces = [
      "[", "]", "{", "}", "\"", "'", "\\", "#", "=", ".", "\n", " ", "a", "1", ",", "é", "-", "_", "T", ":", "0x", "\r",
      "\t", "+", "e", "true", "\u{1}", "\"\"\"", "'''", "1979-05-27", "[[", "\\u00", "\u{2028}", "offer", "b",
    ]
    for round in 0..<20_000 {
      var text = round % 2 == 0 ? "[offer]\na = " : ""
      for _ in 0..<12 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        text += pieces[Int(state >> 33) % pieces.count]
      }
      let lines = text.utf8.count { $0 == 0x0A } + 1
      do {
        #expect(try TOMLDocument(text).items.allSatisfy { (1...lines).contains($0.line) })
      } catch {
        #expect((1...lines).contains(error.line))
      }
      if round % 100 == 0 { #expect(try problems(text).allSatisfy { !$0.isEmpty }) }
    }
  }

  @Test func whateverIsQuotedIsReadBack() throws {
    let texts = ["", "a \"b\" \\c", "line\nend\ttab", "\u{1}\u{1f}\u{7f}", "grün 🐦", "#no comment"]
    for text in texts {
      guard case .text(let read) = try #require(TOMLDocument("a = " + TOMLText.quoted(text)).items.first).value else {
        Issue.record("\(text) is no text any more")
        continue
      }
      #expect(read == text)
    }
    guard case .list(let list) = try #require(TOMLDocument("a = " + TOMLText.quoted(texts)).items.first).value else {
      Issue.record("no list")
      return
    }
    #expect(list.count == texts.count)
  }
}
