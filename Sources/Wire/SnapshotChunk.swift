import Primitives

/// One entry of the state: the number of its table, and the canonical bytes of its key and value.
public struct SnapshotEntry: Hashable, Sendable, WireCodable {
  /// The longest key, in bytes.
  public static let maximumKeyBytes = 128
  /// The longest value, in bytes.
  public static let maximumValueBytes = 65_536

  /// The table.
  public let table: UInt8
  /// The key's bytes.
  public let key: [UInt8]
  /// The value's bytes.
  public let value: [UInt8]

  /// An entry.
  public init(table: UInt8, key: [UInt8], value: [UInt8]) {
    self.table = table
    self.key = key
    self.value = value
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.uint8(table)
    writer.lengthPrefixed(key)
    writer.lengthPrefixed(value)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    table = try reader.uint8()
    key = try reader.lengthPrefixed(limit: SnapshotEntry.maximumKeyBytes, what: "snapshot key")
    value = try reader.lengthPrefixed(limit: SnapshotEntry.maximumValueBytes, what: "snapshot value")
  }
}

/// What stands beside the way from a subtree of the state tree up to its root.
public enum MerkleSibling: Hashable, Sendable, WireCodable {
  /// No entry.
  case empty
  /// One entry: the hashes of its key and of its value.
  case leaf(key: Digest, value: Digest)
  /// A subtree of two entries or more.
  case inner(Digest)

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    switch self {
    case .empty: writer.uint8(0)
    case .leaf(let key, let value):
      writer.uint8(1)
      writer.digest(key)
      writer.digest(value)
    case .inner(let digest):
      writer.uint8(2)
      writer.digest(digest)
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.uint8() {
    case 0: self = .empty
    case 1: self = .leaf(key: try reader.digest(), value: try reader.digest())
    case 2: self = .inner(try reader.digest())
    default: throw .unknownTag(what: "merkle sibling")
    }
  }
}

/// All entries of one subtree of the state after an epoch's last block, and the proof that the subtree is part of the
/// state root which that block's header names.
public struct SnapshotChunk: Hashable, Sendable, WireCodable {
  /// The most entries of a chunk.
  public static let maximumEntries = 16_384
  /// The most bytes of a chunk's encoding.
  public static let maximumBytes = 1_536 * 1_024
  /// The deepest subtree.
  public static let maximumDepth: UInt8 = 64

  /// The height of the block.
  public let height: UInt64
  /// How many bits of `prefix` name the subtree.
  public let depth: UInt8
  /// The key hashes of the subtree begin with these bits; the others are zero.
  public let prefix: Digest
  /// The entries, ascending by key hash.
  public let entries: [SnapshotEntry]
  /// From the root's children down to the subtree's own sibling: `depth` of them; those at the end that are empty are
  /// left out.
  public let siblings: [MerkleSibling]

  /// A chunk.
  public init(
    height: UInt64, depth: UInt8, prefix: Digest, entries: [SnapshotEntry], siblings: [MerkleSibling]
  ) {
    self.height = height
    self.depth = depth
    self.prefix = prefix
    self.entries = entries
    self.siblings = siblings
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(height)
    writer.uint8(depth)
    writer.digest(prefix)
    writer.array(entries)
    writer.array(siblings)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    let before = reader.remaining
    height = try reader.varint()
    depth = try reader.uint8()
    prefix = try reader.digest()
    entries = try reader.array(limit: SnapshotChunk.maximumEntries, what: "snapshot entries")
    siblings = try reader.array(limit: Int(SnapshotChunk.maximumDepth), what: "snapshot siblings")
    guard depth <= SnapshotChunk.maximumDepth, siblings.count <= Int(depth),
      before - reader.remaining <= SnapshotChunk.maximumBytes
    else { throw .badValue(what: "snapshot chunk") }
    for bit in Int(depth)..<256 where prefix.value.bit(bit) { throw .badValue(what: "snapshot prefix") }
  }
}
