import Foundation
import Testing

@testable import Config

@Suite("node.conf.example")
struct ExampleTests {
  @Test("the committed file is what the key table renders")
  func committedFileIsRendered() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = root.appendingPathComponent("node.conf.example")
    if ProcessInfo.processInfo.environment["UPDATE_EXAMPLE"] == "1" {
      try NodeConfiguration.example.write(to: file, atomically: true, encoding: .utf8)
    }
    let committed = try String(contentsOf: file, encoding: .utf8)
    #expect(committed == NodeConfiguration.example, "run this test with UPDATE_EXAMPLE=1 to write the file anew")
  }

  @Test("it lists every key once, and each line stays within 120 columns")
  func listsEveryKey() {
    let lines = NodeConfiguration.example.split(separator: "\n")
    for key in ConfigurationKey.all {
      #expect(lines.count { $0.hasPrefix("#\(key.name) = ") } == ConfigurationKey.all.count { $0.name == key.name })
      #expect(!key.documentation.isEmpty)
    }
    #expect(lines.allSatisfy { $0.count <= 120 || $0.hasPrefix("## Accepts") })
  }

  @Test("as it is, it parses clean and sets nothing")
  func parsesAsItIs() throws {
    let entries = try load(NodeConfiguration.example).entries
    #expect(entries.allSatisfy { $0.source == .fallback })
  }

  @Test("with every key uncommented it parses clean, each key from its own line with its default")
  func parsesUncommented() throws {
    let text = NodeConfiguration.example.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.hasPrefix("#") && !line.hasPrefix("##") && !line.hasPrefix("# ") && line != "#" ? line.dropFirst() : line
    }.joined(separator: "\n")
    let configuration = try load(text, userID: 0, hostName: "node-1")
    let defaults = try load(userID: 0, hostName: "node-1")
    #expect(configuration.entries.map(\.key) == ConfigurationKey.all.map(\.path))
    #expect(configuration.entries.map(\.value) == defaults.entries.map(\.value))
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (entry, key) in zip(configuration.entries, ConfigurationKey.all) {
      guard case .file(_, let line?) = entry.source else {
        Issue.record("\(entry.key) comes from \(entry.source)")
        continue
      }
      #expect(lines[line - 1].hasPrefix("\(key.name) = "))
    }
  }
}
