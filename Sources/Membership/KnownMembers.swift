import Primitives
import Wire

/// A table of members made once and given to many machines, so that a simulation of thousands of nodes begins with a
/// network that is formed.
public struct KnownMembers: Sendable {
  let table: MemberTable
  let digestBuckets: [MemberDigest.Bucket]

  /// The members whose records these are, all alive; what is no record is left out.
  public init(_ records: [Verified<Message>], settings: MembershipSettings, now: Instant) {
    var latest = Table<NodeID, (record: Verified<Message>, body: NodeRecord)>()
    for record in records {
      if case .nodeRecord(let body) = record.value.body { latest[record.author] = (record, body) }
    }
    var buckets = [MemberDigest.Bucket](repeating: .empty, count: MemberDigest.maximumBuckets)
    var places: [MemberTable.Place] = []
    var expiry = UInt64.max
    for (member, known) in latest {
      buckets[MemberDigest.bucket(of: member, count: buckets.count)] ^=
        MemberDigest.Bucket(member: member, sequence: known.record.sequence, hasLeft: false)
      let address = known.body.addresses.firstIndex { $0.isUsable } ?? known.body.addresses.count
      places.append(
        MemberTable.Place(
          record: known.record, number: 0, sinceSeconds: MemberTable.seconds(now), addressIndex: UInt8(address),
          isVerified: true))
      expiry = min(expiry, known.body.expiresUnixSeconds)
    }
    table = MemberTable(
      settings: settings, index: NodeIndex(latest.keys), places: places, earliestExpiry: expiry)
    digestBuckets = buckets
  }
}

extension MembershipMachine {
  /// Takes a table over, less this node itself, in place of what it knows. For a machine that has not started, and with
  /// the settings that the table was made with.
  public mutating func preload(_ known: KnownMembers) {
    guard !isRunning, known.table.count <= memberLimit else { return counters.add("preloadRefused") }
    entries = known.table
    entries.owner = id
    digestBuckets = known.digestBuckets
    stateCounts = [0, 0, 0, 0]
    stateCounts[Int(MemberState.alive.rawValue)] = entries.count
    forget(id)
    beginRound()
  }
}
