import Foundation
import Primitives
import Testing

@testable import Blobs

@Suite struct BlobDirectoryTests {
  private let file = BlobEntry.Content.file(root: .zero, size: 0)

  private func entry(_ name: String, _ content: BlobEntry.Content? = nil) -> BlobEntry {
    BlobEntry(name: Array(name.utf8), mode: 0o644, content: content ?? file)
  }

  /// A directory blob with any bytes, as a hostile peer could make it.
  private func forge(_ manifest: [UInt8], in store: BlobStore) throws -> Digest {
    let writer = try store.writer()
    try writer.write(manifest)
    return try writer.finish(.directory, hold: false, pinnedBy: nil).root
  }

  /// The manifest of one entry, unchecked.
  private func manifest(name: [UInt8], kind: UInt8 = 1, mode: UInt16 = 0o644, rest: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = [1, 0, 0, 0, kind]
    bytes.append(littleEndian: mode)
    return bytes + [UInt8(name.count)] + name + rest
  }

  @Test func directoriesComeBackAsTheyWere() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let source = directory.path + "/source"
    let manager = FileManager.default
    try manager.createDirectory(atPath: source + "/sub/deep", withIntermediateDirectories: true)
    try manager.createDirectory(atPath: source + "/empty", withIntermediateDirectories: true)
    try write(bytes(chunk + 5), source + "/data", mode: 0o666)
    try write(bytes(10), source + "/sub/run.sh", mode: 0o4755)
    try write([], source + "/sub/deep/nothing", mode: 0o600)
    try write([1], source + "/new\nline", mode: 0o444)
    try manager.createSymbolicLink(atPath: source + "/sub/up", withDestinationPath: "../data")
    try manager.createSymbolicLink(atPath: source + "/down", withDestinationPath: "sub/deep")
    try manager.setAttributes([.posixPermissions: 0o700], ofItemAtPath: source + "/empty")
    // A name that is no text.
    let raw: [CChar] = cString(Array((source + "/raw").utf8) + [0xFF, 0xFE])
    #expect(close(open(raw, O_CREAT | O_WRONLY, 0o644)) == 0)

    let made = try store.importDirectory(path: source)
    #expect(made.skippedCount == 0 && made.contentBytes == UInt64(chunk + 5 + 10 + 1))
    let out = directory.path + "/out"
    try store.export(made.summary.root, to: out)
    #expect(try Data(contentsOf: URL(fileURLWithPath: out + "/data")) == Data(bytes(chunk + 5)))
    #expect(try mode(out + "/data") == 0o644)
    #expect(try mode(out + "/sub/run.sh") == 0o755)
    #expect(try mode(out + "/sub/deep/nothing") == 0o600)
    #expect(try mode(out + "/new\nline") == 0o444)
    #expect(try mode(out + "/empty") == 0o700)
    #expect(try manager.destinationOfSymbolicLink(atPath: out + "/sub/up") == "../data")
    #expect(try manager.destinationOfSymbolicLink(atPath: out + "/down") == "sub/deep")
    #expect(access(cString(Array((out + "/raw").utf8) + [0xFF, 0xFE]), F_OK) == 0)
    #expect(try store.importDirectory(path: out).summary == made.summary)
    #expect(code { try store.export(made.summary.root, to: out) } == .exists)
    #expect(code { try store.export(made.summary.root, to: out + "/..") } == .unsupportedEntry)
    #expect(code { try store.export(made.summary.root, to: directory.path + "/none/x") } == .system)
    #expect(code { try store.export(made.summary.root, to: directory.path + "/few", maximumBytes: 100) } == .tooLarge)
    #expect(!manager.fileExists(atPath: directory.path + "/few"))
  }

  @Test func whatADirectoryCannotHoldIsNamed() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let source = directory.path + "/source"
    let manager = FileManager.default
    try manager.createDirectory(atPath: source, withIntermediateDirectories: true)
    try write([1], source + "/good")
    #expect(mkfifo(source + "/fifo", 0o600) == 0)
    try manager.createSymbolicLink(atPath: source + "/out", withDestinationPath: "../../etc/passwd")
    try manager.createSymbolicLink(atPath: source + "/root", withDestinationPath: "/etc/passwd")
    #expect(code { _ = try store.importDirectory(path: source) } == .unsupportedEntry)
    let made = try store.importDirectory(path: source, unsupported: .skip)
    #expect(made.skippedCount == 3 && made.skipped.count == 3 && made.skipped[0].contains("/fifo"))
    #expect(try store.entries(of: made.summary.root).map(\.name) == [Array("good".utf8)])
  }

  @Test func linksStayInside() {
    func inside(_ target: String, _ depth: Int) -> Bool { BlobEntry.staysInside(Array(target.utf8), depth: depth) }
    #expect(inside("a", 0) && inside("./a/b", 0) && inside("../a", 1) && inside("../../a", 2) && inside(".", 0))
    #expect(!inside("..", 0) && !inside("../a", 0) && !inside("../../a", 1) && !inside("/a", 3) && !inside("", 1))
    #expect(!inside("a/..", 2) && !inside("a/../../..", 3) && !inside("a\0b", 0))
  }

  @Test func manifestsHaveOneForm() throws {
    let entries = [entry("b"), entry("a", .directory(root: .zero, size: 4)), entry("a.b")]
    let encoded = try DirectoryManifest.encode(entries)
    #expect(
      try DirectoryManifest.decode(encoded).map { String(decoding: $0.name, as: UTF8.self) } == ["a", "a.b", "b"])
    for count in 0..<encoded.count {
      #expect(code { _ = try DirectoryManifest.decode(Array(encoded[..<count])) } == .badManifest)
    }
    #expect(code { _ = try DirectoryManifest.decode(encoded + [0]) } == .badManifest)
    #expect(code { _ = try DirectoryManifest.encode([entry("a"), entry("a")]) } == .badManifest)
    for name in ["", ".", "..", "a/b", "/", "a\0", String(repeating: "x", count: 256)] {
      #expect(code { _ = try DirectoryManifest.encode([entry(name)]) } == .badManifest)
    }
    for offset in encoded.indices {
      var wrong = encoded
      wrong[offset] ^= 0xFF
      if let decoded = try? DirectoryManifest.decode(wrong) { #expect(try DirectoryManifest.encode(decoded) == wrong) }
    }
    let root = Digest.zero.bytes
    let size = [UInt8](repeating: 0, count: 8)
    #expect(
      code { _ = try DirectoryManifest.decode(self.manifest(name: [97], mode: 0o4755, rest: root + size)) }
        == .badManifest)
    #expect(
      code { _ = try DirectoryManifest.decode(self.manifest(name: [97], mode: 0o666, rest: root + size)) }
        == .badManifest)
    #expect(
      code { _ = try DirectoryManifest.decode(self.manifest(name: [97], kind: 4, rest: root + size)) } == .badManifest)
    let huge = [UInt8](repeating: 255, count: 8)
    #expect(code { _ = try DirectoryManifest.decode(self.manifest(name: [97], rest: root + huge)) } == .badManifest)
  }

  @Test(arguments: ["..", ".", "../escape", "/tmp/escape", "a/b", ""]) func hostileNamesAreRefused(name: String) throws
  {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let inner = try store.importBytes([1, 2, 3])
    let rest = inner.root.bytes + [3, 0, 0, 0, 0, 0, 0, 0]
    let root = try forge(manifest(name: Array(name.utf8), rest: rest), in: store)
    #expect(code { try store.export(root, to: directory.path + "/out") } == .badManifest)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["a"])
  }

  @Test func hostileLinksAndEntriesAreRefused() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let good = try store.importBytes([1, 2, 3])
    for target in ["../x", "../../etc", "a/../.."] {
      let rest = [UInt8(target.utf8.count), 0] + Array(target.utf8)
      let root = try forge(manifest(name: [97], kind: 3, mode: 0, rest: rest), in: store)
      #expect(code { try store.export(root, to: directory.path + "/out") } == .unsupportedEntry)
    }
    let wrongSize = try forge(manifest(name: [97], rest: good.root.bytes + [4, 0, 0, 0, 0, 0, 0, 0]), in: store)
    #expect(code { try store.export(wrongSize, to: directory.path + "/out") } == .wrongEntry)
    let wrongKind = try forge(
      manifest(name: [97], kind: 2, mode: 0o755, rest: good.root.bytes + [3, 0, 0, 0, 0, 0, 0, 0]), in: store)
    #expect(code { try store.export(wrongKind, to: directory.path + "/out") } == .wrongEntry)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["a"])
  }

  @Test func directoriesThatMultiplyAreCutOff() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    // Each level names the one below ten times: ten to the power of the depth when written out.
    var inner = try forge([0, 0, 0, 0], in: store)
    var size: UInt64 = 4
    for _ in 0..<8 {
      let entries = (0..<10).map {
        BlobEntry(name: [UInt8(97 + $0)], mode: 0o755, content: .file(root: .zero, size: 0))
      }
      .map { BlobEntry(name: $0.name, mode: $0.mode, content: .directory(root: inner, size: size)) }
      let encoded = try DirectoryManifest.encode(entries)
      inner = try forge(encoded, in: store)
      size = UInt64(encoded.count)
    }
    for _ in 0..<70 {
      let encoded = try DirectoryManifest.encode([
        BlobEntry(name: [97], mode: 0o755, content: .directory(root: inner, size: size))
      ])
      inner = try forge(encoded, in: store)
      size = UInt64(encoded.count)
    }
    #expect(code { try store.export(inner, to: directory.path + "/out") } == .tooLarge)
    #expect(!FileManager.default.fileExists(atPath: directory.path + "/out"))
  }
}
