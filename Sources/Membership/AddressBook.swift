import Primitives
import Wire

/// Who was met before, and where: what a node begins with that has no other way in (after Bitcoin's addrman).
///
/// *Tried* are those that this node has reached itself; *new* are those that others told it of, by the nodes' own signed
/// records. Both are kept in buckets that a secret key chooses, and a bucket holds few of one address prefix, so that who
/// has many identities in one place, and tells of them all, fills next to nothing. Who was tried makes room for another only
/// when it does not answer any more. Nothing here has an effect; times are seconds since 1970, for they are saved.
public struct AddressBook: Sendable, Equatable {
  /// How many buckets there are of those that others told of.
  public static let newBuckets = 256
  /// How many buckets there are of those that were reached.
  public static let triedBuckets = 64
  /// The most nodes in one bucket.
  public static let bucketCapacity = 16
  /// The most nodes of one address prefix in one bucket, private ranges aside.
  public static let maximumPerPrefix = 2
  /// The most nodes in all.
  public static let capacity = (newBuckets + triedBuckets) * bucketCapacity
  /// The most nodes that wait for the place of one that is looked at once more.
  public static let maximumWaiting = 32
  /// After so many failures in a row a node that was never reached is forgotten.
  static let failuresOfNew = 3
  /// After so many failures in a row, and so many seconds, a node that was reached once is forgotten.
  static let failuresOfTried = 10
  static let memorySeconds: UInt64 = 30 * 24 * 3_600
  /// The first wait after a failure; doubles up to the longest.
  static let firstWaitSeconds: UInt64 = 30
  static let longestWaitSeconds: UInt64 = 3_600

  /// A node to dial, and where, best first.
  public struct Contact: Hashable, Sendable {
    /// Whom to expect there.
    public var id: NodeID
    /// Where it was, or says that it is.
    public var addresses: [PeerAddress]
  }

  struct Bucket: Comparable, Sendable {
    var isTried: Bool
    var number: Int

    static func < (left: Bucket, right: Bucket) -> Bool {
      left.isTried == right.isTried ? left.number < right.number : !left.isTried
    }
  }

  struct Entry: Sendable, Equatable {
    var addresses: [PeerAddress]
    /// The prefix of who told of it; empty for one that was reached.
    var source: [UInt8]
    /// When it was last reached; 0 for never.
    var metAt: UInt64
    /// When it was last dialled.
    var triedAt: UInt64
    /// Dials in a row that came to nothing.
    var failures: UInt16

    var isTried: Bool { source.isEmpty }
  }

  private struct Waiting: Sendable, Equatable {
    var addresses: [PeerAddress]
    var incumbent: NodeID
  }

  let key: Digest
  private(set) var entries = Table<NodeID, Entry>()
  private var buckets = Table<Bucket, OrderedSet<NodeID>>()
  /// Who was reached and finds its bucket full, and which of those there is to be looked at first. Not saved.
  private var waiting = Table<NodeID, Waiting>()

  /// An empty book; the key is random and secret.
  public init(key: Digest) { self.key = key }

  /// How many nodes it has that were reached, and that others told of.
  public var counts: (tried: Int, new: Int) {
    let tried = entries.reduce(0) { $0 + ($1.value.isTried ? 1 : 0) }
    return (tried, entries.count - tried)
  }

  /// Another told of a node by its record. It has no say over one that was reached.
  public mutating func learned(_ id: NodeID, _ addresses: [PeerAddress], from source: PeerAddress) {
    let usable = AddressBook.usable(addresses)
    guard !usable.isEmpty else { return }
    if let known = entries[id], known.isTried || known.addresses == usable { return }
    let entry = Entry(addresses: usable, source: AddressBook.place(source), metAt: 0, triedAt: 0, failures: 0)
    let bucket = bucket(of: id, entry)
    if let rival = rival(in: bucket, of: usable, except: id) {
      // The newcomer takes the place of one that has failed already, never of one that may be good.
      guard let worst = entries[rival], worst.failures > 0 else { return }
      remove(rival)
    }
    remove(id)
    insert(id, entry)
  }

  /// This node has reached another at the first of these addresses. True when the book has changed.
  @discardableResult
  public mutating func met(_ id: NodeID, _ addresses: [PeerAddress], at unixSeconds: UInt64) -> Bool {
    let usable = AddressBook.usable(addresses)
    guard !usable.isEmpty else { return false }
    // Who has shown itself keeps its place: those that wait for it go.
    waiting.removeAll { $1.incumbent == id }
    let entry = Entry(addresses: usable, source: [], metAt: unixSeconds, triedAt: unixSeconds, failures: 0)
    let target = bucket(of: id, entry)
    guard let rival = rival(in: target, of: usable, except: id) else {
      remove(id)
      insert(id, entry)
      return true
    }
    guard waiting.count < AddressBook.maximumWaiting || waiting.contains(id) else { return false }
    waiting[id] = Waiting(addresses: usable, incumbent: rival)
    return false
  }

  /// A dial of a node came to nothing.
  public mutating func failed(_ id: NodeID, at unixSeconds: UInt64) {
    guard var entry = entries[id] else { return }
    entry.failures = entry.failures == .max ? .max : entry.failures + 1
    entry.triedAt = unixSeconds
    entries[id] = entry
    let successor = waiting.first { $0.value.incumbent == id }
    let age = unixSeconds > entry.metAt ? unixSeconds - entry.metAt : 0
    let isHopeless =
      entry.isTried
      ? entry.failures >= AddressBook.failuresOfTried && age > AddressBook.memorySeconds
      : entry.failures >= AddressBook.failuresOfNew
    guard successor != nil || isHopeless else { return }
    remove(id)
    if let successor {
      waiting.removeValue(forKey: successor.key)
      met(successor.key, successor.value.addresses, at: unixSeconds)
    }
  }

  /// The node whose place another waits for: it is dialled first, and keeps the place if it answers.
  public var testBeforeEvict: Contact? {
    guard let incumbent = waiting.first?.value.incumbent else { return nil }
    return entries[incumbent].map { Contact(id: incumbent, addresses: $0.addresses) }
  }

  /// Up to `count` nodes to dial now, half of them tried, in the order of their failures and else by chance. Who failed is
  /// left alone for a while, the longer the more often.
  public func candidates(
    count: Int, at unixSeconds: UInt64, _ generator: inout SeededGenerator, isWanted: (NodeID) -> Bool
  ) -> [Contact] {
    let due = entries.filter { isWanted($0.key) && isDue($0.value, unixSeconds) }
    let tried = ordered(due.filter { $0.value.isTried }, &generator)
    let new = ordered(due.filter { !$0.value.isTried }, &generator)
    let half = max(count - new.count, (count + 1) / 2)
    let chosen = Array(tried.prefix(half))
    return chosen + new.prefix(max(0, count - chosen.count))
  }

  private func ordered(
    _ found: [(key: NodeID, value: Entry)], _ generator: inout SeededGenerator
  ) -> [Contact] {
    var shuffled = found
    generator.shuffle(&shuffled)
    // The sort is by failures and then by the drawn order, so that it does not hang on the sort's stability.
    return shuffled.enumerated().sorted {
      ($0.element.value.failures, $0.offset) < ($1.element.value.failures, $1.offset)
    }.map { Contact(id: $0.element.key, addresses: $0.element.value.addresses) }
  }

  private func isDue(_ entry: Entry, _ unixSeconds: UInt64) -> Bool {
    // A clock that was set back makes nobody wait.
    guard entry.failures > 0, unixSeconds >= entry.triedAt else { return true }
    let doublings = UInt64(min(entry.failures - 1, 16))
    let wait = min(AddressBook.longestWaitSeconds, AddressBook.firstWaitSeconds << doublings)
    return unixSeconds - entry.triedAt >= wait
  }

  private static func usable(_ addresses: [PeerAddress]) -> [PeerAddress] {
    Array(addresses.filter(\.isUsable).prefix(NodeRecord.maximumAddresses))
  }

  /// What counts as one place: the prefix, or in private ranges the whole address.
  private static func place(_ address: PeerAddress) -> [UInt8] { address.isPrivate ? address.ip : address.prefix }

  func bucket(of id: NodeID, _ entry: Entry) -> Bucket {
    let place = entry.addresses.first.map(AddressBook.place) ?? []
    var writer = WireWriter()
    writer.digest(key)
    writer.bool(entry.isTried)
    writer.lengthPrefixed(place)
    writer.raw(entry.isTried ? id.bytes : entry.source)
    let hash = Digest(hashing: writer.bytes).bytes
    let count = entry.isTried ? AddressBook.triedBuckets : AddressBook.newBuckets
    return Bucket(isTried: entry.isTried, number: Int(hash[0]) % count)
  }

  /// Who has to go before a node with these addresses fits into a bucket; nil when there is room. The one that failed most
  /// often, then the one met longest ago.
  private func rival(in bucket: Bucket, of addresses: [PeerAddress], except id: NodeID? = nil) -> NodeID? {
    let held = (buckets[bucket]?.members ?? []).filter { $0 != id }
    var candidates = held.count >= AddressBook.bucketCapacity ? held : []
    if let address = addresses.first, !address.isPrivate {
      let neighbours = held.filter {
        entries[$0]?.addresses.first.map { !$0.isPrivate && $0.prefix == address.prefix } ?? false
      }
      if neighbours.count >= AddressBook.maximumPerPrefix { candidates = neighbours }
    }
    return candidates.min { left, right in
      guard let one = entries[left], let other = entries[right] else { return left < right }
      if one.failures != other.failures { return one.failures > other.failures }
      return one.metAt == other.metAt ? left < right : one.metAt < other.metAt
    }
  }

  private mutating func insert(_ id: NodeID, _ entry: Entry) {
    entries[id] = entry
    buckets[bucket(of: id, entry), default: OrderedSet()].insert(id)
  }

  private mutating func remove(_ id: NodeID) {
    guard let entry = entries.removeValue(forKey: id) else { return }
    let place = bucket(of: id, entry)
    let isEmpty = buckets.modify(place) { members in
      members.remove(id)
      return members.isEmpty
    }
    if isEmpty == true { buckets.removeValue(forKey: place) }
    waiting.removeAll { $1.incumbent == id }
  }
}

extension AddressBook: WireCodable {
  private static let version: UInt8 = 1

  /// Appends the canonical bytes: version, key, and the nodes in the order of their ids.
  public func encode(into writer: inout WireWriter) {
    writer.uint8(AddressBook.version)
    writer.digest(key)
    writer.varint(UInt64(entries.count))
    for (id, entry) in entries {
      writer.nodeID(id)
      writer.array(entry.addresses)
      writer.lengthPrefixed(entry.source)
      writer.uint64(entry.metAt)
      writer.uint64(entry.triedAt)
      writer.uint16(entry.failures)
    }
  }

  /// Reads the canonical bytes; throws for all others. A node that cannot be written to, or finds no room in its bucket, is
  /// left out: one that is wrong must not cost all the others.
  public init(from reader: inout WireReader) throws(WireError) {
    guard try reader.uint8() == AddressBook.version else { throw .badValue(what: "address book version") }
    self.init(key: try reader.digest())
    let read = try reader.ascending(limit: AddressBook.capacity, what: "address book", by: \.id) {
      (reader) throws(WireError) in
      let id = try reader.nodeID()
      let entry = Entry(
        addresses: try reader.array(limit: NodeRecord.maximumAddresses, what: "addresses"),
        source: try reader.lengthPrefixed(limit: 16, what: "source prefix"), metAt: try reader.uint64(),
        triedAt: try reader.uint64(), failures: try reader.uint16())
      return (id: id, entry: entry)
    }
    for (id, entry) in read {
      guard !entry.addresses.isEmpty, entry.addresses.allSatisfy(\.isUsable),
        rival(in: bucket(of: id, entry), of: entry.addresses) == nil
      else { continue }
      insert(id, entry)
    }
  }
}
