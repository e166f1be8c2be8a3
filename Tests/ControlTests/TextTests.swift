import Testing

@testable import Control

@Suite struct TextTests {
  @Test(
    arguments: [
      ("0", 0), ("4096", 4096), ("512M", 536_870_912), ("1.5GiB", 1_610_612_736), ("2GB", 2_000_000_000),
      ("1 kib", 1024), ("1.0000001k", 1025), ("16777215T", 18_446_742_974_197_923_840),
      ("18446744073709551615", UInt64.max),
    ] as [(String, UInt64)]) func sizes(text: String, bytes: UInt64)
  {
    #expect(Quantity.bytes(text) == bytes)
  }

  @Test(arguments: [
    "", "M", "-1", "1X", "1.", ".5G", "1..5G", "16777216T", "18446744073709551616", "1e3", "1.0000000001G",
  ])
  func noSizes(text: String) {
    #expect(Quantity.bytes(text) == nil)
  }

  @Test(
    arguments: [
      ("60s", 60), ("90", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("500ms", 1), ("1.5s", 2), ("0", 0),
    ]
      as [(String, UInt64)]) func times(text: String, seconds: UInt64)
  {
    #expect(Quantity.seconds(text) == seconds)
  }

  /// Records of others say when they expire, as far away as they like: what is written of it must be readable.
  @Test(arguments: [Int64.min, .min + 1, -62_167_219_200_000_001, 253_402_300_800_000_000, .max])
  func timesWithoutAWordAreTheNearestThatHasOne(microseconds: Int64) throws {
    let time = WallTime(microsecondsSinceEpoch: microseconds)
    #expect(time.description == (microseconds < 0 ? "0000-01-01T00:00:00.000000Z" : "9999-12-31T23:59:59.999999Z"))
    #expect(WallTime(time.description) == (microseconds < 0 ? .earliest : .latest))
  }

  @Test func credits() {
    #expect(Quantity.microcredits("25") == 25_000_000)
    #expect(Quantity.microcredits("0.000001") == 1)
    #expect(Quantity.microcredits("0.0000001") == nil)
    #expect(Quantity.microcredits("18446744073709.551615") == UInt64.max)
    #expect(Quantity.microcredits("18446744073709.551616") == nil)
    #expect(Quantity.credits(25_000_000) == "25")
    #expect(Quantity.credits(12_500) == "0.0125")
    #expect(Quantity.credits(UInt64.max) == "18446744073709.551615")
  }

  @Test func shownQuantities() {
    #expect(Quantity.size(1023) == "1023 B")
    #expect(Quantity.size(1536) == "1.5 KiB")
    #expect(Quantity.size(1_610_612_736) == "1.5 GiB")
    #expect(Quantity.size(UInt64.max) == "15.9 EiB")
    #expect(Quantity.duration(seconds: 0) == "0s")
    #expect(Quantity.duration(seconds: 3661) == "1h 1m")
    #expect(Quantity.duration(seconds: 86_400) == "1d")
    #expect(Quantity.roundTrip(microseconds: 830) == "830 µs")
    #expect(Quantity.roundTrip(microseconds: 12_430) == "12.4 ms")
  }

  @Test func aTable() {
    var table = TextTable([("NAME", .left), ("HEIGHT", .right), ("STATE", .left)])
    table.add(["a", "7", "alive"])
    table.add(["long-name", "1234567", ""])
    #expect(
      table.rendered(style: TextStyle(isColoured: false)) == """
        NAME        HEIGHT  STATE
        a                7  alive
        long-name  1234567

        """)
  }

  @Test func noEscapeSequenceOfAPeerReachesTheTerminal() {
    var table = TextTable("NAME")
    table.add(["\u{1B}[2Jevil\u{7}\u{9B}", "dropped"])
    var fields = TextFields()
    fields.add("name", "x\u{1B}]0;title\u{7}")
    for text in [table.rendered(style: .init(isColoured: false)), fields.rendered(style: .init(isColoured: false))] {
      #expect(!text.unicodeScalars.contains { $0.value < 32 && $0 != "\n" || $0.value == 0x9B })
    }
  }

  @Test func colourOnlyWhereItIsWelcome() {
    #expect(TextStyle(isTerminal: true, environment: ["TERM": "xterm"]).isColoured)
    #expect(TextStyle(isTerminal: true, environment: ["NO_COLOR": ""]).isColoured)
    #expect(!TextStyle(isTerminal: true, environment: ["NO_COLOR": "1"]).isColoured)
    #expect(!TextStyle(isTerminal: true, environment: ["TERM": "dumb"]).isColoured)
    #expect(!TextStyle(isTerminal: false, environment: [:]).isColoured)
  }

  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00.000000Z"), (951_827_696_000_001, "2000-02-29T12:34:56.000001Z"),
      (4_107_542_399_999_999, "2100-02-28T23:59:59.999999Z"), (-1, "1969-12-31T23:59:59.999999Z"),
      (253_402_300_799_000_000, "9999-12-31T23:59:59.000000Z"),
    ] as [(Int64, String)]) func wallTimes(microseconds: Int64, text: String)
  {
    #expect(WallTime(microsecondsSinceEpoch: microseconds).description == text)
    #expect(WallTime(text)?.microsecondsSinceEpoch == microseconds)
  }

  @Test func wallTimesOfOthers() {
    #expect(WallTime("1970-01-01T00:00:01Z")?.microsecondsSinceEpoch == 1_000_000)
    #expect(WallTime("1970-01-01T00:00:01.5Z")?.microsecondsSinceEpoch == 1_500_000)
    for text in [
      "", "1970-01-01", "1970-01-01T00:00:01", "1970-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "2024-04-31T00:00:00Z",
      "1970-01-01T24:00:00Z", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00.1234567Z", "1970/01/01T00:00:00Z",
      "+970-01-01T00:00:00Z",
    ] {
      #expect(WallTime(text) == nil, "\(text)")
    }
  }

  @Test func percentCoding() {
    for text in ["", "a-b_c.~", "a b/ü?&=%", "\u{0}\u{7F}"] {
      #expect(PercentCoding.decode(PercentCoding.encode(text)) == text)
    }
    #expect(PercentCoding.encode("a/ü") == "a%2F%C3%BC")
    for broken in ["%", "%4", "%G0", "%FF"] { #expect(PercentCoding.decode(broken) == nil) }
  }

  @Test func abbreviations() throws {
    let ids = ["abcd1", "abcd2", "abce3", "abcd"]
    #expect(try Abbreviation.resolve("abce", among: ids, kind: "job") == "abce3")
    #expect(try Abbreviation.resolve("abcd", among: ids, kind: "job") == "abcd")
    #expect(try Abbreviation.resolve("abcd2", among: ids, kind: "job") == "abcd2")
    let several = #expect(throws: ControlError.self) {
      try Abbreviation.resolve("abcd", among: ids.dropLast(), kind: "job")
    }
    #expect(several?.code == "idAmbiguous")
    for none in ["abc", "", "zzzz"] {
      let unknown = #expect(throws: ControlError.self) { try Abbreviation.resolve(none, among: ids, kind: "job") }
      #expect(unknown?.code == "jobUnknown")
    }
  }
}
