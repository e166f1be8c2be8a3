import Primitives
import Testing
import Wire

@Suite struct MemberDigestTests {
  /// Ids with a sequence each, as a table of members has them.
  static func table(_ count: Int, seed: UInt64) throws -> [(id: NodeID, sequence: UInt64)] {
    var sampler = try Sampler(seed: seed)
    return (0..<count).map { _ in (NodeID(sampler.digest().value), sampler.number()) }
  }

  static func digest(_ table: [(id: NodeID, sequence: UInt64)], count: Int) throws -> MemberDigest {
    var buckets = [MemberDigest.Bucket](repeating: .empty, count: count)
    for (id, sequence) in table {
      buckets[MemberDigest.bucket(of: id, count: count)] ^= MemberDigest.Bucket(
        member: id, sequence: sequence, hasLeft: false)
    }
    return try #require(MemberDigest(buckets: buckets))
  }

  @Test(arguments: MemberDigest.bucketCounts) func aFoldedDigestIsTheOneOfFewerBuckets(_ count: Int) throws {
    let table = try Self.table(300, seed: 50)
    let finest = try Self.digest(table, count: 256)
    #expect(try finest.folded(to: count) == Self.digest(table, count: count))
    #expect(try Self.digest(table.reversed(), count: count) == Self.digest(table, count: count))
    #expect(try Self.digest(table, count: 16).folded(to: 32) == nil)
    #expect(finest.folded(to: 17) == nil)
  }

  @Test func tablesThatDifferDifferInTheBucketsOfTheirDifferences() throws {
    var table = try Self.table(500, seed: 51)
    let before = try Self.digest(table, count: 256)
    #expect(before.differences(from: before) == MemberRequest(count: 256, buckets: []))
    table[7].sequence ^= 1
    let late = table.remove(at: 300)
    let after = try Self.digest(table, count: 64)
    let changed = [table[7].id, late.id]
    let expected = OrderedSet(changed.map { UInt8(MemberDigest.bucket(of: $0, count: 64)) }).members.sorted()
    let differences = after.differences(from: before)
    #expect(
      differences == MemberRequest(count: 64, buckets: expected) && before.differences(from: after) == differences)
    #expect(changed.allSatisfy(differences.covers))
    #expect(table.filter { differences.covers($0.id) }.count < table.count / 8)
  }

  @Test func aBucketHoldsIdsThatFollowEachOther() throws {
    for count in MemberDigest.bucketCounts {
      let ids = try Self.table(200, seed: 52).map(\.id).sorted()
      let numbers = ids.map { MemberDigest.bucket(of: $0, count: count) }
      #expect(numbers == numbers.sorted() && numbers.allSatisfy { (0..<count).contains($0) })
    }
    let last = try #require(NodeID(bytes: [UInt8](repeating: 255, count: 32)))
    #expect(MemberDigest.bucketCounts.map { MemberDigest.bucket(of: last, count: $0) } == [15, 31, 63, 127, 255])
  }

  @Test func farewellsAndSequencesTellBucketsApart() throws {
    var sampler = try Sampler(seed: 53)
    let id = NodeID(sampler.digest().value)
    let alive = MemberDigest.Bucket(member: id, sequence: 7, hasLeft: false)
    #expect(alive != MemberDigest.Bucket(member: id, sequence: 7, hasLeft: true))
    #expect(alive != MemberDigest.Bucket(member: id, sequence: 8, hasLeft: false))
    var sum = alive
    sum ^= alive
    #expect(sum == .empty && alive.bytes.count == MemberDigest.Bucket.byteCount)
    let hashed = Array("linnet/1/digest".utf8) + [0] + id.bytes + [7, 0, 0, 0, 0, 0, 0, 0, 0]
    #expect(alive.bytes == Array(Digest(hashing: hashed).bytes.prefix(16)))
  }

  @Test func requestsThatWouldNotDecodeAreNotMade() {
    #expect(MemberRequest(count: 17, buckets: []) == nil)
    #expect(MemberRequest(count: 16, buckets: [16]) == nil)
    #expect(MemberRequest(count: 16, buckets: [3, 3]) == nil)
    #expect(MemberRequest(count: 16, buckets: [4, 3]) == nil)
    #expect(MemberDigest(buckets: [MemberDigest.Bucket](repeating: .empty, count: 17)) == nil)
  }
}
