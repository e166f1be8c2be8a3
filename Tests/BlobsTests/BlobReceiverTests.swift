import Foundation
import Primitives
import Testing

@testable import Blobs

@Suite struct BlobReceiverTests {
  @Test(arguments: BlobTreeTests.sizes) func chunksComeInAnyOrder(size: Int) throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let content = bytes(size)
    let root = try source.importBytes(content).root
    try copy(root, from: source, to: target) { $0.reversed() }
    #expect(try target.bytes(of: root, limit: size) == content)
    #expect(target.usedBytes == source.usedBytes)
    for index in 0..<BlobTree.chunkCount(size: UInt64(size)) {
      #expect(try target.read(root, chunk: index) == source.read(root, chunk: index))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/b/partial").isEmpty)
  }

  @Test func wrongChunksAreRefusedAndNotWritten() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let root = try source.importBytes(bytes(3 * chunk + 1)).root
    let other = try source.importBytes(bytes(3 * chunk + 1, seed: 2)).root
    let receiver = try target.receiver(try #require(source.summary(of: root)))
    #expect(code { _ = try target.receiver(receiver.summary) } == .busy)
    let right = try source.read(root, chunk: 1)
    var wrong = right
    wrong.bytes[77] ^= 1
    #expect(code { try receiver.accept(wrong) } == .wrongChunk)
    wrong = right
    wrong.index = 2
    #expect(code { try receiver.accept(wrong) } == .wrongChunk)
    #expect(code { try receiver.accept(try source.read(other, chunk: 1)) } == .wrongChunk)
    #expect(receiver.receivedCount == 0 && target.counters.chunksRefused == 3)
    #expect(try receiver.accept(right))
    #expect(try !receiver.accept(right))
    #expect(receiver.firstMissing() == 0 && receiver.firstMissing(from: 1) == 2 && receiver.receivedCount == 1)
    #expect(code { try receiver.finish() } == .missing)
    #expect(!target.has(root))
    // A directory with the same bytes is another blob.
    let posing = try target.receiver(BlobSummary(root: other, size: receiver.summary.size, kind: .directory))
    #expect(code { try posing.accept(try source.read(other, chunk: 0)) } == .wrongChunk)
  }

  @Test func receiptGoesOnAfterADrop() throws {
    let directory = TemporaryDirectory()
    let source = try directory.make("a")
    let summary = try source.importBytes(bytes(4 * chunk + 9))
    do {
      let target = try directory.make("b")
      do {
        let receiver = try target.receiver(summary)
        try receiver.accept(try source.read(summary.root, chunk: 3))
        try receiver.accept(try source.read(summary.root, chunk: 1))
      }
      let again = try target.receiver(summary)
      #expect(again.receivedCount == 2 && again.firstMissing(from: 1) == 2)
      #expect(target.usedBytes == BlobStore.cost(size: summary.size))
      try again.accept(try source.read(summary.root, chunk: 4))
      again.cancel()
      #expect(code { try again.accept(try source.read(summary.root, chunk: 0)) } == .closed)
    }
    // After a restart, and with one of the chunks lost by the crash.
    let content = directory.path + "/b/partial/\(summary.root)/content"
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: content))
    try handle.seek(toOffset: UInt64(chunk))
    try handle.write(contentsOf: [UInt8](repeating: 0, count: chunk))
    let target = try directory.make("b")
    #expect(!target.has(summary.root) && target.usedBytes == BlobStore.cost(size: summary.size))
    let receiver = try target.receiver(summary)
    #expect(receiver.receivedCount == 2 && receiver.firstMissing(from: 1) == 1)
    for index in 0..<5 { try receiver.accept(try source.read(summary.root, chunk: index)) }
    try receiver.finish(pinnedBy: "user")
    #expect(try target.bytes(of: summary.root, limit: .max) == bytes(4 * chunk + 9))
    #expect(target.pins(of: summary.root) == ["user"])
    #expect(code { _ = try target.receiver(summary) } == .exists)
  }

  @Test func aWrongClaimIsForgottenForTheRightOne() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let summary = try source.importBytes(bytes(chunk + 9))
    var claim = summary
    claim.size = 5 * UInt64(chunk)
    let receiver = try target.receiver(claim)
    #expect(code { try receiver.accept(try source.read(summary.root, chunk: 0)) } == .wrongChunk)
    receiver.cancel()
    try copy(summary.root, from: source, to: target)
    #expect(target.usedBytes == source.usedBytes)
    claim.size = BlobLimits.maximumBlobBytes + 1
    #expect(code { _ = try target.receiver(claim) } == .tooLarge)
    claim = BlobSummary(root: .zero, size: 2 << 30, kind: .file)
    #expect(code { _ = try target.receiver(claim) } == .full)
  }

  @Test func idlePartsGoBeforeWholeBlobs() throws {
    let directory = TemporaryDirectory()
    let source = try directory.make("a")
    let size = UInt64(chunk)
    let target = try directory.make("b", maximumBytes: 2 * BlobStore.cost(size: size))
    let kept = try target.importBytes(bytes(chunk, seed: 8))
    let summary = try source.importBytes(bytes(chunk, seed: 1))
    let receiver = try target.receiver(summary)
    let next = try source.importBytes(bytes(chunk, seed: 2))
    receiver.cancel()
    try copy(next.root, from: source, to: target)
    #expect(target.has(kept.root) && target.has(next.root) && target.counters.evicted == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/b/partial").isEmpty)
  }
}
