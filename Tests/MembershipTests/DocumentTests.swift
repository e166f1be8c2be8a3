import Foundation
import Primitives
import Testing

@testable import Membership

/// What docs/operating.md says of the knobs is what they are.
@Suite struct DocumentTests {
  private static let document = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../docs/operating.md")

  @Test func theTableOfKnobsIsTrue() throws {
    let document = try String(contentsOf: DocumentTests.document, encoding: .utf8)
    let section = try #require(document.components(separatedBy: "## Knobs of membership\n").last)
    let lines = section.components(separatedBy: "\n## ")[0].split(separator: "\n")
    let rows = lines.filter { $0.hasPrefix("| `") }.map { line in
      line.split(separator: "|").map { String($0).trimmingCharacters(in: .whitespaces) }
    }
    let header = lines.first { $0.hasPrefix("| knob") }
    #expect(header == "| knob | lan | wan | loopback | what |")
    let profiles = [MembershipSettings.lan, .wan, .loopback].map { Mirror(reflecting: $0).children.map { $0 } }
    let names = profiles[0].map { "`\($0.label ?? "")`" }
    #expect(rows.map { $0[0] } == names)
    for (index, row) in rows.enumerated() where index < names.count {
      let values = profiles.map { text(of: $0[index].value) }
      #expect(Array(row.dropFirst().prefix(3)) == values, "\(row[0])")
      #expect(row.count == 5 && row.last?.isEmpty == false, "\(row[0])")
    }
  }

  private func text(of value: Any) -> String {
    switch value {
    case let span as Microseconds: DocumentTests.text(of: span)
    case let flag as Bool: flag ? "yes" : "no"
    case let number as any BinaryInteger: DocumentTests.grouped(Int(number))
    default: "a knob of another kind: \(value)"
    }
  }

  private static func text(of span: Microseconds) -> String {
    let units: [(Int64, String)] = [(3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms")]
    for (unit, name) in units where span.count % unit == 0 && (name != "min" || span.count >= 10 * unit) {
      return "\(span.count / unit) \(name)"
    }
    return "\(span.count) µs"
  }

  private static func grouped(_ number: Int) -> String {
    number < 1_000 ? "\(number)" : grouped(number / 1_000) + "," + String("\(1_000 + number % 1_000)".dropFirst())
  }
}
