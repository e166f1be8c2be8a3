import Primitives

/// Asks for chunks of a blob.
package struct BlobRequest: Hashable, Sendable {
  /// The blob.
  package var root: Digest
  /// The index of the first chunk wanted.
  package var firstChunk: Int
  /// How many chunks are wanted, at least 1; the answer may hold fewer.
  package var count: Int

  /// Asks for `count` chunks from `firstChunk` on.
  package init(root: Digest, firstChunk: Int, count: Int) {
    self.root = root
    self.firstChunk = firstChunk
    self.count = count
  }

  /// root 32 ‖ first chunk u32 ‖ count u16, little-endian.
  package func encoded() -> [UInt8] {
    var bytes = root.bytes
    bytes.append(littleEndian: UInt32(clamping: firstChunk))
    bytes.append(littleEndian: UInt16(clamping: count))
    return bytes
  }

  /// Reads what `encoded` wrote; throws `.badMessage` for anything else.
  package init(decoding bytes: [UInt8]) throws(BlobError) {
    let failure = BlobError(.badMessage, "A request for blob chunks does not decode.")
    var reader = ByteReader(bytes, failure: failure)
    root = try reader.digest()
    firstChunk = Int(try reader.integer(UInt32.self))
    count = Int(try reader.integer(UInt16.self))
    try reader.end()
    guard count > 0 else { throw failure }
  }
}

/// A chunk with what proves it.
package struct BlobChunk: Hashable, Sendable {
  /// Which chunk of the blob.
  package var index: Int
  /// Its bytes: 256 KiB, fewer in the last chunk.
  package var bytes: [UInt8]
  /// The sibling hashes from the leaf upwards.
  package var proof: [Digest]
  /// The length of the whole blob in bytes.
  package var totalSize: UInt64

  /// A chunk as it is claimed to be; `BlobTree.kind(of:under:)` checks it.
  package init(index: Int, bytes: [UInt8], proof: [Digest], totalSize: UInt64) {
    self.index = index
    self.bytes = bytes
    self.proof = proof
    self.totalSize = totalSize
  }

  /// count u8 ‖ for each: index u32 ‖ length of the blob u64 ‖ proof count u8 ‖ proof ‖ length u32 ‖ bytes.
  package static func encode(_ chunks: [BlobChunk]) -> [UInt8] {
    precondition(chunks.count <= BlobLimits.maximumAnswerChunks)
    var bytes = [UInt8(chunks.count)]
    for chunk in chunks {
      bytes.append(littleEndian: UInt32(clamping: chunk.index))
      bytes.append(littleEndian: chunk.totalSize)
      bytes.append(UInt8(clamping: chunk.proof.count))
      for digest in chunk.proof { bytes += digest.bytes }
      bytes.append(littleEndian: UInt32(clamping: chunk.bytes.count))
      bytes += chunk.bytes
    }
    return bytes
  }

  /// Reads what `encode` wrote: `.badMessage` for anything else, and for lengths that no chunk at that place has.
  package static func decode(_ bytes: [UInt8]) throws(BlobError) -> [BlobChunk] {
    let failure = BlobError(.badMessage, "An answer with blob chunks does not decode.")
    var reader = ByteReader(bytes, failure: failure)
    let count = Int(try reader.integer(UInt8.self))
    guard count <= BlobLimits.maximumAnswerChunks else { throw failure }
    var chunks: [BlobChunk] = []
    for _ in 0..<count {
      let index = Int(try reader.integer(UInt32.self))
      let totalSize = try reader.integer(UInt64.self)
      guard totalSize <= BlobLimits.maximumBlobBytes, index < BlobTree.chunkCount(size: totalSize),
        Int(try reader.integer(UInt8.self)) == BlobTree.proofCount(size: totalSize, index: index)
      else { throw failure }
      var proof: [Digest] = []
      for _ in 0..<BlobTree.proofCount(size: totalSize, index: index) { proof.append(try reader.digest()) }
      let length = BlobTree.chunkBytes(size: totalSize, index: index)
      guard Int(try reader.integer(UInt32.self)) == length else { throw failure }
      chunks.append(
        BlobChunk(index: index, bytes: Array(try reader.take(length)), proof: proof, totalSize: totalSize))
    }
    try reader.end()
    return chunks
  }
}
