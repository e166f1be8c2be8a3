import Glibc
import Primitives

/// The hashes of a blob's tree on disk, beside its content: a header of 16 bytes (magic 4 ‖ kind u8 ‖ three zeros ‖
/// size u64), then all levels from the leaves to the top, 32 bytes a node.
struct TreeFile: Sendable {
  private static let magic: [UInt8] = Array("LBT1".utf8)
  private static let headerBytes = 16
  /// Nodes read at once while levels are built.
  private static let batch = 4096

  let file: OpenFile

  /// The bytes of the tree of a blob of this size.
  static func byteCount(size: UInt64) -> Int {
    headerBytes + 32 * BlobTree.widths(chunkCount: BlobTree.chunkCount(size: size)).reduce(0, +)
  }

  func writeHeader(_ kind: BlobKind, size: UInt64) throws(BlobError) {
    var bytes = TreeFile.magic + [kind.rawValue, 0, 0, 0]
    bytes.append(littleEndian: size)
    try file.write(bytes, at: 0)
  }

  /// Kind and size; nil where the header is not one.
  func header() throws(BlobError) -> (kind: BlobKind, size: UInt64)? {
    let bytes = try file.read(count: TreeFile.headerBytes, at: 0)
    guard bytes.count == TreeFile.headerBytes, bytes[..<4].elementsEqual(TreeFile.magic),
      let kind = BlobKind(rawValue: bytes[4])
    else { return nil }
    var reader = ByteReader(Array(bytes[8...]), failure: BlobError(.damaged, ""))
    let size = try reader.integer(UInt64.self)
    return size <= BlobLimits.maximumBlobBytes ? (kind, size) : nil
  }

  func writeLeaves(_ leaves: [Digest], from index: Int) throws(BlobError) {
    try file.write(leaves.flatMap(\.bytes), at: TreeFile.headerBytes + 32 * index)
  }

  /// A node by its place counted over all levels; nil behind the end.
  func node(_ place: Int) throws(BlobError) -> Digest? {
    Digest(bytes: try file.read(count: 32, at: TreeFile.headerBytes + 32 * place))
  }

  /// Builds the levels above the leaves, in bounded memory, and answers the top.
  func buildLevels(chunkCount: Int) throws(BlobError) -> Digest {
    var start = 0
    for width in BlobTree.widths(chunkCount: chunkCount).dropLast() {
      let next = start + width
      var index = 0
      while index < width {
        let nodes = try self.nodes(from: start + index, count: min(TreeFile.batch, width - index))
        var joined: [Digest] = []
        for left in stride(from: 0, to: nodes.count, by: 2) {
          joined.append(left + 1 < nodes.count ? BlobTree.join(nodes[left], nodes[left + 1]) : nodes[left])
        }
        try writeLeaves(joined, from: next + index / 2)
        index += nodes.count
      }
      start = next
    }
    guard let top = try node(start) else { throw BlobError(.damaged, "\(file.path) is cut short.") }
    return top
  }

  /// The siblings of a leaf up to the top.
  func proof(index: Int, chunkCount: Int) throws(BlobError) -> [Digest] {
    var proof: [Digest] = []
    var (start, index) = (0, index)
    for width in BlobTree.widths(chunkCount: chunkCount).dropLast() {
      if index ^ 1 < width {
        guard let sibling = try node(start + (index ^ 1)) else {
          throw BlobError(.damaged, "\(file.path) is cut short.")
        }
        proof.append(sibling)
      }
      (start, index) = (start + width, index / 2)
    }
    return proof
  }

  private func nodes(from place: Int, count: Int) throws(BlobError) -> [Digest] {
    let bytes = try file.read(count: 32 * count, at: TreeFile.headerBytes + 32 * place)
    let nodes = stride(from: 0, to: bytes.count, by: 32).compactMap {
      Digest(bytes: bytes[$0..<min($0 + 32, bytes.count)])
    }
    guard nodes.count == count else { throw BlobError(.damaged, "\(file.path) is cut short.") }
    return nodes
  }
}
