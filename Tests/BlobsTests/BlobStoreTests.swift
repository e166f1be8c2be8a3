import Foundation
import Primitives
import Testing

@testable import Blobs

@Suite struct BlobStoreTests {
  @Test func writersTakePiecesOfAnySize() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let content = bytes(2 * chunk + 1234)
    let whole = try store.importBytes(content)
    try write(content, directory.path + "/file")
    #expect(try store.importFile(path: directory.path + "/file") == whole)
    for step in [1000, chunk, chunk + 1, 3 * chunk] {
      let writer = try store.writer()
      for start in stride(from: 0, to: content.count, by: step) {
        try writer.write(Array(content[start..<min(start + step, content.count)]))
      }
      #expect(try writer.finish() == whole)
      #expect(code { try writer.write([1]) } == .closed)
      #expect(code { _ = try writer.finish() } == .closed)
    }
    #expect(store.list() == [whole])
    #expect(store.usedBytes == BlobStore.cost(size: whole.size))
  }

  @Test func aDroppedWriterLeavesNothing() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    do {
      let writer = try store.writer()
      try writer.write(bytes(2 * chunk))
      #expect(store.usedBytes > UInt64(2 * chunk))
    }
    #expect(store.usedBytes == 0 && store.list().isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/a/incoming").isEmpty)
  }

  @Test func onlyRegularFilesAreImported() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    #expect(mkfifo(directory.path + "/fifo", 0o600) == 0)
    #expect(code { _ = try store.importFile(path: directory.path + "/fifo") } == .unsupportedEntry)
    #expect(code { _ = try store.importFile(path: directory.path) } == .unsupportedEntry)
    #expect(code { _ = try store.importFile(path: directory.path + "/none") } == .system)
  }

  @Test func sameContentImportedAtOnceIsOneBlob() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let content = bytes(chunk + 99)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      #expect((try? store.importBytes(content))?.size == UInt64(content.count))
    }
    #expect(store.list().count == 1)
    #expect(store.usedBytes == BlobStore.cost(size: UInt64(content.count)))
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/a/incoming").isEmpty)
    #expect(try store.bytes(of: store.list()[0].root, limit: .max) == content)
  }

  @Test func blobsArePresentAfterReopening() throws {
    let directory = TemporaryDirectory()
    let first = try directory.make("a").importBytes(bytes(chunk + 1, seed: 1))
    do {
      let store = try directory.make("a")
      #expect(store.list() == [first])
      #expect(code { _ = try directory.make("a") } == .locked)
      try store.pin(first.root, by: "user")
      try store.pin(first.root, by: "lease 1")
      try store.unpin(first.root, by: "lease 1")
    }
    let store = try directory.make("a")
    #expect(store.pins(of: first.root) == ["user"])
    #expect(store.has(first.root) && store.size(of: first.root) == UInt64(chunk + 1))
    #expect(store.usedBytes == BlobStore.cost(size: first.size))
    #expect(store.remove(first.root) && !store.remove(first.root) && !store.has(first.root) && store.usedBytes == 0)
    #expect(code { _ = try store.read(first.root, chunk: 0) } == .missing)
  }

  @Test func halfABlobIsNeverServed() throws {
    let directory = TemporaryDirectory()
    let root = try directory.make("a").importBytes(bytes(3 * chunk)).root
    let folder = directory.path + "/a/blobs/\(root)"
    let incoming = directory.path + "/a/incoming/7"
    try FileManager.default.copyItem(atPath: folder, toPath: incoming)
    try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/content")).truncate(atOffset: UInt64(2 * chunk))
    let store = try directory.make("a")
    #expect(
      !store.has(root) && store.usedBytes == 0 && store.answer(BlobRequest(root: root, firstChunk: 0, count: 1)).isEmpty
    )
    #expect(!FileManager.default.fileExists(atPath: folder) && !FileManager.default.fileExists(atPath: incoming))
  }

  @Test func whatTheDiskChangedIsNotServed() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let root = try store.importBytes(bytes(3 * chunk)).root
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: directory.path + "/a/blobs/\(root)/content"))
    try handle.seek(toOffset: UInt64(chunk + 5))
    let old = try #require(try handle.read(upToCount: 1))
    try handle.seek(toOffset: UInt64(chunk + 5))
    try handle.write(contentsOf: [old[0] ^ 1])
    #expect(try store.read(root, chunk: 0).index == 0)
    #expect(code { _ = try store.read(root, chunk: 1) } == .damaged)
    #expect(store.answer(BlobRequest(root: root, firstChunk: 0, count: 2)).map(\.index) == [0])
    #expect(store.counters.chunksDamaged == 2)
    #expect(code { try store.export(root, to: directory.path + "/out") } == .damaged)
    #expect(!FileManager.default.fileExists(atPath: directory.path + "/out"))
  }

  @Test func answersAreBounded() throws {
    let directory = TemporaryDirectory()
    let store = try directory.make("a")
    let root = try store.importBytes(bytes(5 * chunk + 1)).root
    #expect(store.answer(BlobRequest(root: root, firstChunk: 0, count: 60_000)).map(\.index) == [0, 1])
    #expect(store.answer(BlobRequest(root: root, firstChunk: 5, count: 2)).map(\.index) == [5])
    for first in [6, -1, .max, Int(UInt32.max)] {
      #expect(store.answer(BlobRequest(root: root, firstChunk: first, count: 1)).isEmpty)
    }
    #expect(store.answer(BlobRequest(root: root, firstChunk: 0, count: 0)).isEmpty)
    #expect(store.answer(BlobRequest(root: root, firstChunk: 0, count: -4)).isEmpty)
    #expect(store.answer(BlobRequest(root: .zero, firstChunk: 0, count: 1)).isEmpty)
  }

  // A store with room for three blobs of `size`.
  private let size = 50_000
  private func roomForThree(_ directory: TemporaryDirectory) throws -> BlobStore {
    try directory.make("a", maximumBytes: 3 * BlobStore.cost(size: UInt64(size)))
  }

  @Test func theLeastRecentlyUsedGoesFirst() throws {
    let directory = TemporaryDirectory()
    var roots: [Digest] = []
    do {
      let store = try roomForThree(directory)
      for seed in 1...3 { roots.append(try store.importBytes(bytes(size, seed: UInt64(seed))).root) }
      _ = try store.read(roots[0], chunk: 0)
      roots.append(try store.importBytes(bytes(size, seed: 4)).root)
      #expect(roots.map(store.has) == [true, false, true, true])
      try store.export(roots[2], to: directory.path + "/out")
    }
    let store = try roomForThree(directory)
    _ = try store.importBytes(bytes(size, seed: 5))
    #expect(roots.map(store.has) == [false, false, true, true])
    _ = try store.importBytes(bytes(size, seed: 6))
    #expect(roots.map(store.has) == [false, false, true, false])
    #expect(store.counters.evicted == 2 && store.usedBytes <= store.maximumBytes)
  }

  @Test func pinsProtect() throws {
    let directory = TemporaryDirectory()
    let store = try roomForThree(directory)
    let roots = try (1...3).map { try store.importBytes(bytes(size, seed: UInt64($0)), pinnedBy: "user").root }
    #expect(code { _ = try store.importBytes(bytes(size, seed: 4)) } == .full)
    #expect(roots.allSatisfy(store.has) && store.list().count == 3)
    try store.pin(roots[1], by: "lease 1")
    try store.unpin(roots[1], by: "user")
    #expect(code { _ = try store.importBytes(bytes(size, seed: 4)) } == .full)
    try store.unpin(roots[1], by: "lease 1")
    let last = try store.importBytes(bytes(size, seed: 4)).root
    #expect(roots.map(store.has) == [true, false, true] && store.has(last))
    #expect(code { _ = try store.importBytes(bytes(4 * size, seed: 5)) } == .full)
    for owner in ["", "a\nb", String(repeating: "x", count: 129)] {
      #expect(code { try store.pin(roots[0], by: owner) } == .tooLarge)
    }
  }

  @Test func pinsAreHandedToAnotherOwnerForGood() throws {
    let directory = TemporaryDirectory()
    let roots: [Digest]
    do {
      let store = try directory.make("a", maximumBytes: 400_000)
      roots = try (1...3).map { try store.importBytes(bytes(100, seed: UInt64($0)), pinnedBy: "job 1").root }
      try store.pin(roots[0], by: "user")
      try store.pin(roots[1], by: "job 2")
      try store.unpin(roots[2], by: "job 1")
      try store.handPins(of: "job 1", to: "job 2")
    }
    let store = try directory.make("a", maximumBytes: 400_000)
    #expect(roots.map(store.pins) == [["job 2", "user"], ["job 2"], []])
  }

  @Test func aPinnedDirectoryProtectsWhatItNames() throws {
    let directory = TemporaryDirectory()
    try FileManager.default.createDirectory(atPath: directory.path + "/d/inner", withIntermediateDirectories: true)
    try write(bytes(100_000, seed: 1), directory.path + "/d/inner/a")
    try write(bytes(100_000, seed: 2), directory.path + "/d/b")
    let store = try directory.make("a", maximumBytes: 400_000)
    let made = try store.importDirectory(path: directory.path + "/d", pinnedBy: "user").summary
    #expect(store.list().count == 4)
    for seed in 3...9 { _ = try store.importBytes(bytes(100_000, seed: UInt64(seed))) }
    #expect(store.missing(below: made.root).isEmpty && store.counters.evicted == 6)
    try store.unpin(made.root, by: "user")
    for seed in 10...14 { _ = try store.importBytes(bytes(100_000, seed: UInt64(seed))) }
    #expect(!store.missing(below: made.root).isEmpty)
  }
}
