import Primitives

/// What a node's table of members hashes to, bucket by bucket: who compares its own with another's knows which members to
/// tell of and which to ask for, and nothing has to be said of the rest.
///
/// A digest decides only what is sent, never what is believed: whoever mints keys can steer a XOR of hashes.
public struct MemberDigest: Hashable, Sendable, WireCodable {
  /// The numbers of buckets that a digest may have, ascending.
  public static let bucketCounts = [16, 32, 64, 128, 256]
  /// The most buckets.
  public static let maximumBuckets = 256

  /// The XOR of what is known of each member of a bucket; zero for a bucket without members.
  public struct Bucket: Hashable, Sendable {
    /// The number of bytes.
    public static let byteCount = 16
    /// What a bucket without members has.
    public static let empty = Bucket()

    private var low: UInt64 = 0
    private var high: UInt64 = 0

    private init() {}

    /// What one member adds: the first 16 bytes of `H("linnet/1/digest" ‖ 00 ‖ id ‖ sequence u64 ‖ hasLeft bool)`. The
    /// sequence is that of its latest record, or of its farewell when it has left.
    public init(member: NodeID, sequence: UInt64, hasLeft: Bool) {
      var writer = WireWriter()
      writer.raw(Array("linnet/1/digest".utf8) + [0])
      writer.nodeID(member)
      writer.uint64(sequence)
      writer.bool(hasLeft)
      self.init(Digest(hashing: writer.bytes).bytes.prefix(Bucket.byteCount))
    }

    /// A bucket from its 16 bytes.
    fileprivate init(_ bytes: some Sequence<UInt8>) {
      for (index, byte) in bytes.enumerated() {
        if index < 8 {
          low |= UInt64(byte) << UInt64(8 * index)
        } else {
          high |= UInt64(byte) << UInt64(8 * index - 64)
        }
      }
    }

    /// The 16 bytes.
    public var bytes: [UInt8] {
      var writer = WireWriter()
      writer.uint64(low)
      writer.uint64(high)
      return writer.bytes
    }

    /// Adds or takes away what another value stands for: both are the same.
    public static func ^= (left: inout Bucket, right: Bucket) {
      left.low ^= right.low
      left.high ^= right.high
    }
  }

  /// The buckets in the order of the ids that they hold; their count is one of `bucketCounts`.
  public let buckets: [Bucket]

  /// A digest; nil unless the number of buckets is one of `bucketCounts`.
  public init?(buckets: [Bucket]) {
    guard MemberDigest.bucketCounts.contains(buckets.count) else { return nil }
    self.buckets = buckets
  }

  /// The bucket, of `count` in all, that a member belongs to: its id's first byte says, by its highest bits, so that a
  /// bucket holds ids that follow each other.
  public static func bucket(of member: NodeID, count: Int) -> Int { Int(member.value[0]) * count / maximumBuckets }

  /// The same table in fewer buckets; nil unless `count` is one of `bucketCounts` and no more than there are.
  public func folded(to count: Int) -> MemberDigest? {
    guard count <= buckets.count else { return nil }
    var folded = [Bucket](repeating: .empty, count: count)
    for (index, bucket) in buckets.enumerated() { folded[index * count / buckets.count] ^= bucket }
    return MemberDigest(buckets: folded)
  }

  /// The buckets in which two tables differ, numbered as in the digest with fewer of them.
  public func differences(from other: MemberDigest) -> MemberRequest {
    let count = min(buckets.count, other.buckets.count)
    let pairs = zip(folded(to: count)?.buckets ?? [], other.folded(to: count)?.buckets ?? [])
    let numbers = pairs.enumerated().filter { $0.element.0 != $0.element.1 }.map {
      UInt8(truncatingIfNeeded: $0.offset)
    }
    return MemberRequest(bucketCount: UInt16(truncatingIfNeeded: count), buckets: numbers)
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.uint16(UInt16(truncatingIfNeeded: buckets.count))
    for bucket in buckets { writer.raw(bucket.bytes) }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    let count = Int(try reader.uint16())
    guard MemberDigest.bucketCounts.contains(count) else { throw .badValue(what: "bucket count") }
    var buckets: [Bucket] = []
    for _ in 0..<count { buckets.append(Bucket(try reader.raw(Bucket.byteCount))) }
    self.buckets = buckets
  }
}

/// Asks for what the receiver knows of the members of some buckets.
public struct MemberRequest: Hashable, Sendable, WireCodable {
  /// How many buckets there are in all: one of `MemberDigest.bucketCounts`.
  public let bucketCount: UInt16
  /// The numbers of those asked for, strictly ascending, each below `bucketCount`.
  public let buckets: [UInt8]

  init(bucketCount: UInt16, buckets: [UInt8]) {
    self.bucketCount = bucketCount
    self.buckets = buckets
  }

  /// A request; nil unless decoding it would hold.
  public init?(count: Int, buckets: [UInt8]) {
    guard MemberRequest.fits(count, buckets) else { return nil }
    self.init(bucketCount: UInt16(truncatingIfNeeded: count), buckets: buckets)
  }

  /// True when the member is asked for.
  public func covers(_ member: NodeID) -> Bool {
    let number = MemberDigest.bucket(of: member, count: Int(bucketCount))
    return buckets.contains(UInt8(truncatingIfNeeded: number))
  }

  private static func fits(_ count: Int, _ buckets: [UInt8]) -> Bool {
    MemberDigest.bucketCounts.contains(count) && buckets.allSatisfy { $0 < count }
      && zip(buckets, buckets.dropFirst()).allSatisfy { $0 < $1 }
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.uint16(bucketCount)
    writer.lengthPrefixed(buckets)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    let count = Int(try reader.uint16())
    guard MemberDigest.bucketCounts.contains(count) else { throw .badValue(what: "bucket count") }
    let buckets = try reader.ascending(limit: MemberDigest.maximumBuckets, what: "buckets", by: { $0 }) {
      (reader) throws(WireError) in try reader.uint8()
    }
    guard MemberRequest.fits(count, buckets) else { throw .badValue(what: "buckets") }
    self.init(bucketCount: UInt16(truncatingIfNeeded: count), buckets: buckets)
  }
}
