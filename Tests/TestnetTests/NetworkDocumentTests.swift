import Foundation
import Testing

/// docs/network.md says which test shows what.
@Suite("docs/network.md") struct NetworkDocumentTests {
  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  @Test("every test that it names exists") func names() throws {
    let document = try String(contentsOf: Self.root.appendingPathComponent("docs/network.md"), encoding: .utf8)
    // The last column of each row, up to the second backtick.
    let named = document.split(separator: "\n").filter { $0.hasPrefix("|") }.compactMap { row -> String? in
      let parts = (row.split(separator: "|").last ?? "").split(separator: "`", omittingEmptySubsequences: false)
      return parts.count >= 3 ? String(parts[1]) : nil
    }
    #expect(named.count >= 20, "rows are read")
    let tests = Self.root.appendingPathComponent("Tests")
    let files =
      FileManager.default.enumerator(at: tests, includingPropertiesForKeys: nil)?
      .compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" } ?? []
    let sources = try files.map { try String(contentsOf: $0, encoding: .utf8) }
    for name in named {
      // As it stands in the source: a quotation mark or a backslash would be escaped. Unit tests are named by their function.
      let forms = ["@Test(\"\(name)\"", "    \"\(name)\"", "func \(name)("]
      #expect(sources.contains { source in forms.contains { source.contains($0) } }, "\(name)")
    }
  }
}
