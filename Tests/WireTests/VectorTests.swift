import Foundation
import Primitives
import Sodium
import Testing
import Wire

/// The golden vectors. `UPDATE_VECTORS=1` writes docs/wire-vectors.json anew; a change of it is a change of the format.
@Suite struct VectorTests {
  static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let path = repository.appending(path: "docs/wire-vectors.json")

  @Test func valuesEncodeToTheGoldenBytes() throws {
    let made = try Vectors().file
    if ProcessInfo.processInfo.environment["UPDATE_VECTORS"] != nil {
      try made.write(to: VectorTests.path, atomically: true, encoding: .utf8)
    }
    let golden = try String(contentsOf: VectorTests.path, encoding: .utf8)
    let pairs = zip(made.split(separator: "\n"), golden.split(separator: "\n"))
    for (mine, theirs) in pairs where !mine.utf8.elementsEqual(theirs.utf8) {
      Issue.record("docs/wire-vectors.json differs:\n  made:   \(mine.prefix(600))\n  golden: \(theirs.prefix(600))")
      break
    }
    #expect(made.utf8.elementsEqual(golden.utf8))
  }

  @Test func theGoldenBytesDecodeToTheirValues() throws {
    let vectors = try Vectors()
    for entry in vectors.accepted {
      let type = try #require(WireType.named(entry.type))
      let value = try #require(entry.value)
      #expect(type.areEqual(try type.decode(entry.bytes), value), "\(entry.name)")
    }
    for type in WireType.all { #expect(vectors.accepted.filter { $0.type == type.name }.count >= 2, "\(type.name)") }
    #expect(vectors.refused.count > 180 && vectors.forged.count > 50)
    for entry in vectors.forged {
      let type = try #require(WireType.named(entry.type))
      _ = try type.decode(entry.bytes)
    }
  }

  @Test func textsReadAndWriteAsTheVectorsSay() throws {
    for entry in try Vectors().texts {
      let (bytes, written): ([UInt8]?, String?) =
        switch entry.type {
        case "NodeID": (NodeID(text: entry.text)?.bytes, NodeID(text: entry.text)?.description)
        case "Invite": ((try? Invite(text: entry.text))?.encoded, (try? Invite(text: entry.text))?.text)
        default: (PeerAddress(text: entry.text)?.encoded, PeerAddress(text: entry.text)?.description)
        }
      #expect(bytes == entry.bytes, "\(entry.text)")
      if entry.bytes != nil { #expect(written == entry.written ?? entry.text) }
    }
  }
}
