import Foundation
import Primitives
import Testing

@testable import Blobs

@Suite struct BlobTreeTests {
  static let sizes = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 7, 4 * chunk, 5 * chunk, 7 * chunk + 1]

  @Test(arguments: sizes) func everyChunkIsProvedByItsOneProof(size: Int) throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let content = bytes(size)
    let summary = try store.importBytes(content)
    #expect(summary.size == UInt64(size) && summary.kind == .file)
    #expect(try store.bytes(of: summary.root, limit: size) == content)
    let count = max(1, (size + chunk - 1) / chunk)
    #expect(BlobTree.chunkCount(size: UInt64(size)) == count)
    for index in 0..<count {
      let read = try store.read(summary.root, chunk: index)
      #expect(read.bytes == Array(content[(index * chunk)..<min(size, (index + 1) * chunk)]))
      #expect(BlobTree.kind(of: read, under: summary.root) == .file)
      #expect(try BlobChunk.decode(BlobChunk.encode([read])) == [read])

      var wrong = read
      wrong.totalSize += 1
      #expect(BlobTree.kind(of: wrong, under: summary.root) == nil)
      wrong = read
      wrong.proof.append(.zero)
      #expect(BlobTree.kind(of: wrong, under: summary.root) == nil)
      for level in read.proof.indices {
        wrong = read
        wrong.proof[level] = Digest(hashing: read.proof[level].bytes)
        #expect(BlobTree.kind(of: wrong, under: summary.root) == nil)
        wrong = read
        wrong.proof.remove(at: level)
        #expect(BlobTree.kind(of: wrong, under: summary.root) == nil)
      }
      for other in -1...count where other != index {
        wrong = read
        wrong.index = other
        #expect(BlobTree.kind(of: wrong, under: summary.root) == nil)
      }
    }
    #expect(code { _ = try store.read(summary.root, chunk: count) } == .missing)
    #expect(code { _ = try store.read(summary.root, chunk: -1) } == .missing)
  }

  @Test func everyFlippedByteIsRefused() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let summary = try store.importBytes(bytes(2 * chunk + 300))
    let read = try store.read(summary.root, chunk: 2)
    for offset in read.bytes.indices {
      var wrong = read
      wrong.bytes[offset] ^= 1 << UInt8(offset % 8)
      #expect(BlobTree.kind(of: wrong, under: summary.root) == nil)
    }
    var short = read
    short.bytes.removeLast()
    #expect(BlobTree.kind(of: short, under: summary.root) == nil)
  }

  @Test func theRootIsTheOneThatTheRulesMake() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let content = bytes(2 * chunk + 5)
    func hash(_ bytes: [UInt8]) -> [UInt8] { Digest(hashing: bytes).bytes }
    let leaves = [0, chunk, 2 * chunk].map { hash([0] + content[$0..<min($0 + chunk, content.count)]) }
    let top = hash([1] + hash([1] + leaves[0] + leaves[1]) + leaves[2])
    let size = (0..<8).map { UInt8(truncatingIfNeeded: content.count >> ($0 * 8)) }
    #expect(try store.importBytes(content).root.bytes == hash([2] + size + top))
  }

  @Test func aFileCannotPoseAsADirectory() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    try FileManager.default.createDirectory(atPath: directory.path + "/d", withIntermediateDirectories: true)
    let made = try store.importDirectory(path: directory.path + "/d")
    let posing = try store.importBytes(try DirectoryManifest.encode([]))
    #expect(made.summary.kind == .directory && posing.size == made.summary.size && posing.root != made.summary.root)
    #expect(code { _ = try store.entries(of: posing.root) } == .wrongEntry)
    let read = try store.read(made.summary.root, chunk: 0)
    #expect(BlobTree.kind(of: read, under: made.summary.root) == .directory)
    #expect(BlobTree.kind(of: read, under: posing.root) == .file)
  }

  @Test func messagesAreStrict() throws {
    let request = BlobRequest(root: Digest(hashing: [1]), firstChunk: 70_000, count: 2)
    let encoded = request.encoded()
    #expect(encoded.count == 38)
    #expect(try BlobRequest(decoding: encoded) == request)
    for count in 0..<encoded.count {
      #expect(code { _ = try BlobRequest(decoding: Array(encoded[..<count])) } == .badMessage)
    }
    #expect(code { _ = try BlobRequest(decoding: encoded + [0]) } == .badMessage)
    #expect(code { _ = try BlobRequest(decoding: Array(encoded[..<36]) + [0, 0]) } == .badMessage)

    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let root = try store.importBytes(bytes(chunk + 10)).root
    let answer = BlobChunk.encode([try store.read(root, chunk: 1)])
    #expect(try BlobChunk.decode([0]) == [])
    for count in 0..<answer.count { #expect(code { _ = try BlobChunk.decode(Array(answer[..<count])) } == .badMessage) }
    #expect(code { _ = try BlobChunk.decode(answer + [0]) } == .badMessage)
    // Whatever a byte is changed to: an error, or another chunk that the root refuses; never a trap.
    for offset in answer.indices {
      for change: UInt8 in [1, 0x80, 0xFF] {
        var wrong = answer
        wrong[offset] ^= change
        guard let chunks = try? BlobChunk.decode(wrong) else { continue }
        #expect(chunks.count == 1 && BlobTree.kind(of: chunks[0], under: root) == nil)
        #expect(BlobChunk.encode(chunks) == wrong)
      }
    }
    #expect(code { _ = try BlobChunk.decode([255]) } == .badMessage)
  }

  @Test func bitmapsFindWhatIsClear() {
    var bitmap = Bitmap(count: 130)
    for index in 0..<130 where index != 64 && index != 129 { bitmap.set(index) }
    bitmap.set(3)
    #expect(bitmap.setCount == 128)
    #expect(bitmap.firstClear(from: 0) == 64 && bitmap.firstClear(from: 64) == 64)
    #expect(bitmap.firstClear(from: 65) == 129 && bitmap.firstClear(from: 130) == nil)
    bitmap.set(129)
    #expect(bitmap.firstClear(from: 65) == nil)
  }
}
