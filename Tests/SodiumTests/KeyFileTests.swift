import Glibc
import Primitives
import Testing

@testable import Sodium

/// A directory of its own, removed at the end.
private final class Folder {
  let path: String

  init() {
    var template = Array("/tmp/linnet-key-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template)!)
  }

  deinit {
    unlink(path + "/node.key")
    rmdir(path)
  }

  var key: String { path + "/node.key" }

  func write(_ text: String, mode: mode_t = 0o600) {
    let descriptor = open(key, O_WRONLY | O_CREAT | O_TRUNC, mode)
    _ = Array(text.utf8).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
  }

  func text() -> String {
    var content = [UInt8](repeating: 0, count: 4096)
    let descriptor = open(key, O_RDONLY)
    let count = Glibc.read(descriptor, &content, content.count)
    close(descriptor)
    return String(decoding: content.prefix(count), as: UTF8.self)
  }

  func refusal() -> KeyFileError.Code? {
    do throws(KeyFileError) {
      _ = try KeyFile.read(key)
      return nil
    } catch {
      #expect(error.message.contains(key))
      return error.code
    }
  }
}

@Suite struct KeyFileTests {
  // Seed and identity are RFC 8032's first test; the checksum is Python's
  // hashlib.blake2b(b"linnet/1/key-file" + seed, digest_size=32).hexdigest()[:16].
  private let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
  private let check = "0b1f7ed178034f42"

  @Test func writtenAndReadBack() throws {
    let folder = Folder()
    let key = try SigningKey(seed: bytes(seed))
    umask(0o077)
    try KeyFile.create(key, at: folder.key)
    #expect(folder.text() == "linnet-key-1 \(seed) \(check)\n")
    #expect(folder.text().utf8.count == KeyFile.byteCount)
    var status = stat()
    #expect(stat(folder.key, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(try KeyFile.read(folder.key).id == key.id)
  }

  @Test func neverReplaced() throws {
    let folder = Folder()
    let first = try SigningKey.generate()
    try KeyFile.create(first, at: folder.key)
    let error = #expect(throws: KeyFileError.self) { try KeyFile.create(SigningKey.generate(), at: folder.key) }
    #expect(error?.code == .exists)
    #expect(try KeyFile.read(folder.key).id == first.id)
  }

  @Test func missingFileAndMissingDirectory() throws {
    let folder = Folder()
    #expect(folder.refusal() == .missing)
    let error = #expect(throws: KeyFileError.self) {
      try KeyFile.create(SigningKey.generate(), at: folder.path + "/none/node.key")
    }
    #expect(error?.code == .inputOutput)
    #expect(error?.cause != nil)
  }

  @Test(arguments: [0o640, 0o604, 0o660, 0o601] as [mode_t])
  func exposedFileIsRefused(mode: mode_t) throws {
    let folder = Folder()
    try KeyFile.create(SigningKey.generate(), at: folder.key)
    chmod(folder.key, mode)
    #expect(folder.refusal() == .exposed)
  }

  @Test(.enabled(if: geteuid() == 0)) func foreignFileIsRefused() throws {
    let folder = Folder()
    try KeyFile.create(SigningKey.generate(), at: folder.key)
    chown(folder.key, 12_345, 12_345)
    #expect(folder.refusal() == .wrongOwner)
  }

  @Test func directoryAndPipeAreRefused() {
    let folder = Folder()
    mkdir(folder.key, 0o700)
    #expect(folder.refusal() == .notAFile)
    rmdir(folder.key)
    mkfifo(folder.key, 0o600)
    #expect(folder.refusal() == .notAFile)
  }

  @Test func malformedFilesAreRefused() {
    let folder = Folder()
    let good = "linnet-key-1 \(seed) \(check)\n"
    folder.write(good)
    #expect(folder.refusal() == nil)
    for text in [
      "", "\n", String(good.dropLast()), good + "\n", good + good, " " + good, "linnet-key-2" + good.dropFirst(12),
      "linnet-key-1 \(seed) 0000000000000000\n", "linnet-key-1 \(seed)  \(check.dropLast())\n",
      good.replacing("9d61", with: "9d62"), good.replacing("9d61", with: "zz61"),
      String(repeating: "a", count: 100_000),
    ] {
      folder.write(text)
      #expect(folder.refusal() == .malformed, "\(text.prefix(120))")
    }
  }
}
