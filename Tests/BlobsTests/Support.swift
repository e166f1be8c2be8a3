import Foundation
import Primitives
import Testing

@testable import Blobs

let chunk = BlobLimits.chunkBytes

/// A directory that goes away with the object.
final class TemporaryDirectory: Sendable {
  let path: String
  init() {
    path = NSTemporaryDirectory() + "linnet-blobs-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func make(_ name: String, maximumBytes: UInt64 = 1 << 30) throws -> BlobStore {
    try BlobStore(directory: path + "/" + name, maximumBytes: maximumBytes)
  }
}

/// Bytes that differ from chunk to chunk and from seed to seed.
func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    for index in 0..<count {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      buffer[index] = UInt8(truncatingIfNeeded: state >> 24)
    }
    initialized = count
  }
}

func write(_ bytes: [UInt8], _ path: String, mode: Int = 0o644) throws {
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
}

func mode(_ path: String) throws -> Int {
  try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
}

func code(_ body: () throws -> Void) -> BlobError.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? BlobError)?.code
  }
}

/// Moves one blob from a store to another, chunk by chunk.
func copy(_ root: Digest, from: BlobStore, to: BlobStore, order: ([Int]) -> [Int] = { $0 }) throws {
  let summary = try #require(from.summary(of: root))
  let receiver = try to.receiver(summary)
  for index in order(Array(0..<receiver.chunkCount)) { try receiver.accept(try from.read(root, chunk: index)) }
  try receiver.finish()
}
