import Primitives
import Wire

/// Identities in order, made once and shared by many tables, which then name a member by its place.
public final class NodeIndex: Sendable {
  /// No identities: every table keeps its members' own.
  public static let empty = NodeIndex([])

  let ids: [NodeID]

  /// An index of these identities.
  public init(_ ids: [NodeID]) { self.ids = OrderedSet(ids).members }

  func place(of id: NodeID) -> Int? {
    let place = firstPlace(from: id)
    return place < ids.count && ids[place] == id ? place : nil
  }

  /// The place of the first identity that is not below another.
  func firstPlace(from id: NodeID) -> Int {
    var low = 0
    var high = ids.count
    while low < high {
      let middle = (low + high) >> 1
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// The members by their ids: a place of 32 bytes for each, and all that is known of those with whom something is going on.
///
/// While there are no more details than `MembershipSettings.detailedMembers`, each member has its own. Beyond it those
/// that need none are packed into their places, and lose what only makes talking with them cheaper: the variation of the
/// round-trip time, the height, what they know of this node, the list of the latest sequences, whose top stays, and what is remembered for
/// people who ask.
struct MemberTable: Sendable {
  /// A member's place. Free when there is neither a record nor a detail.
  struct Place: Sendable {
    /// A place that nobody has.
    static let free = Place()

    /// The record of a packed member.
    var record: Verified<Message>?
    /// The sequence that a packed member's datagrams must be above; else the index of the detail, or none.
    var number = UInt64.max
    var sinceSeconds: UInt32 = 0
    /// One more than the time; 0 for never.
    var lastSeenSeconds: UInt32 = 0
    /// 0 when it is not known.
    var roundTripMicroseconds: UInt32 = 0
    /// Which of the record's addresses is its own; the number of them when none is.
    var addressIndex: UInt8 = 0
    /// True when it is there for sure.
    var isVerified = false
  }

  /// The least time between two looks at what may be packed.
  static let packInterval = Microseconds.seconds(1)

  private struct Detail: Sendable {
    var place: UInt32
    var entry: MemberEntry
  }

  private let settings: MembershipSettings
  private let shared: NodeIndex
  /// The members outside the shared index, and the ids of their places, which follow the shared ones.
  private var own = Table<NodeID, UInt32>()
  private var ownIDs: [NodeID] = []
  private var places: [Place]
  private var details: [Detail] = []
  /// Places whose members are gone: first those that a round of probes may still name.
  private var retired: [UInt32] = []
  private var free: [UInt32] = []
  /// The number of members.
  private(set) var count: Int
  /// Whose table it is.
  var owner: NodeID?
  /// The numbers of those who may speak against a member, by where they are for sure: who is active, less those that the
  /// owner accuses itself.
  var voices = PrefixIndex<UInt32>()
  /// The number of the round of probes, in which every packed member has its place.
  private(set) var round: UInt64 = 1
  /// When members are packed next, if there are too many details then.
  private var packAgain = Instant.zero
  /// No record runs out before this time, in seconds since 1970.
  private var earliestExpiry = UInt64.max

  /// A table without members.
  init(settings: MembershipSettings) {
    self.settings = settings
    shared = .empty
    places = []
    count = 0
  }

  /// A table of members that are all packed, in the order of the index.
  init(settings: MembershipSettings, index: NodeIndex, places: [Place], earliestExpiry: UInt64) {
    self.settings = settings
    shared = index
    self.places = places
    count = places.count { $0.record != nil }
    self.earliestExpiry = earliestExpiry
    for place in places.indices { replaceVoice(place, nil, by: voice(at: place)) }
  }

  /// How many members have details.
  var detailCount: Int { details.count }

  private func place(of id: NodeID) -> Int? {
    if let place = shared.place(of: id) { return places[place].isFree ? nil : place }
    return own[id].map { Int($0) }
  }

  /// The number of a member's place, which stays the same for a round of probes even when the member is forgotten.
  func number(of id: NodeID) -> UInt32? { place(of: id).map { UInt32($0) } }

  /// Whose place it is or was.
  func id(at number: UInt32) -> NodeID {
    let place = Int(number)
    return place < shared.ids.count ? shared.ids[place] : ownIDs[place - shared.ids.count]
  }

  func contains(_ id: NodeID) -> Bool { place(of: id) != nil }

  /// The entry of a member; assigning nil removes it.
  subscript(id: NodeID) -> MemberEntry? {
    get { place(of: id).flatMap { entry(at: $0) } }
    set {
      guard let newValue else {
        removeValue(forKey: id)
        return
      }
      let place = place(of: id) ?? insert(id)
      earliestExpiry = Swift.min(earliestExpiry, newValue.body.expiresUnixSeconds)
      replaceVoice(place, voice(at: place), by: voice(of: newValue))
      if let detail = places[place].detail {
        details[detail].entry = newValue
      } else {
        unpack(place, as: newValue)
      }
    }
  }

  /// Changes an entry in place; nil, and `body` not called, when there is none.
  mutating func modify<Answer>(_ id: NodeID, _ body: (inout MemberEntry) -> Answer) -> Answer? {
    guard let place = place(of: id) else { return nil }
    let old = voice(at: place)
    defer { replaceVoice(place, old, by: voice(at: place)) }
    if let detail = places[place].detail { return body(&details[detail].entry) }
    guard var entry = entry(at: place) else { return nil }
    let answer = body(&entry)
    unpack(place, as: entry)
    return answer
  }

  @discardableResult mutating func removeValue(forKey id: NodeID) -> MemberEntry? {
    guard let place = place(of: id), let old = entry(at: place) else { return nil }
    replaceVoice(place, voice(of: old), by: nil)
    if let detail = places[place].detail { removeDetail(detail) }
    places[place] = .free
    count -= 1
    if place >= shared.ids.count {
      own.removeValue(forKey: id)
      retired.append(UInt32(place))
    }
    return old
  }

  private mutating func insert(_ id: NodeID) -> Int {
    count += 1
    if let place = shared.place(of: id) { return place }
    let place: Int
    if let reused = free.popLast() {
      place = Int(reused)
      ownIDs[place - shared.ids.count] = id
    } else {
      place = places.count
      places.append(.free)
      ownIDs.append(id)
    }
    own[id] = UInt32(place)
    return place
  }

  private mutating func unpack(_ place: Int, as entry: MemberEntry) {
    places[place] = Place(number: UInt64(details.count))
    details.append(Detail(place: UInt32(place), entry: entry))
  }

  private mutating func removeDetail(_ index: Int) {
    let last = details.removeLast()
    guard index < details.count else { return }
    details[index] = last
    places[Int(last.place)].number = UInt64(index)
  }

  private func entry(at place: Int) -> MemberEntry? {
    let slot = places[place]
    if let detail = slot.detail { return details[detail].entry }
    guard let record = slot.record, case .nodeRecord(let body) = record.value.body else { return nil }
    var entry = MemberEntry(
      record: record, body: body, now: MemberTable.instant(slot.sinceSeconds), settings: settings)
    if slot.lastSeenSeconds > 0 { entry.lastSeen = MemberTable.instant(slot.lastSeenSeconds - 1) }
    if slot.roundTripMicroseconds > 0 {
      entry.roundTrip = RoundTrip(first: Microseconds(Int64(slot.roundTripMicroseconds)))
    }
    entry.window = ReplayWindow(floor: slot.number)
    entry.address =
      body.addresses.indices.contains(Int(slot.addressIndex)) ? body.addresses[Int(slot.addressIndex)] : nil
    if slot.isVerified { entry.verified = entry.address }
    entry.round = round
    entry.isUnseen = false
    entry.seenPlace = AddressPrefix(entry.address)
    entry.digestShare = MemberDigest.Bucket(member: record.author, sequence: record.sequence, hasLeft: false)
    return entry
  }

  private static func instant(_ seconds: UInt32) -> Instant { .zero + .seconds(Int64(seconds)) }

  static func seconds(_ instant: Instant) -> UInt32 {
    UInt32(Swift.min(Swift.max(0, instant.microseconds / 1_000_000), Int64(UInt32.max) - 1))
  }
}

extension MemberTable.Place {
  var detail: Int? { record == nil && number != .max ? Int(number) : nil }
  var isFree: Bool { record == nil && number == .max }
}

// Voices: kept with every change, for a walk over all members at each look would cost too much.
extension MemberTable {
  private func voice(of entry: MemberEntry) -> PeerAddress? {
    guard entry.isActive, let verified = entry.verified else { return nil }
    if entry.state == .suspect, let owner, entry.accusations.contains(owner) { return nil }
    return verified
  }

  private func voice(at place: Int) -> PeerAddress? {
    if let detail = places[place].detail { return voice(of: details[detail].entry) }
    return entry(at: place).flatMap(voice)
  }

  private mutating func replaceVoice(_ place: Int, _ old: PeerAddress?, by new: PeerAddress?) {
    guard old != new else { return }
    if let old { voices.remove(UInt32(place), at: AddressPrefix(old)) }
    if let new { voices.insert(UInt32(place), at: AddressPrefix(new)) }
  }

  /// How many voices there can be besides a member's own: one for each prefix, and in private ranges one for each host, or one
  /// for all.
  func voiceCount(without id: NodeID, privateIsOne: Bool) -> Int {
    var prefixes = voices.prefixCount
    var privates = voices.privateCount
    if let own = place(of: id).flatMap(voice(at:)) {
      if let prefix = AddressPrefix(own) {
        if voices.count(at: prefix) == 1 { prefixes -= 1 }
      } else {
        privates -= 1
      }
    }
    return prefixes + (privateIsOne ? Swift.min(1, privates) : privates)
  }
}

// Packing.
extension MemberTable {
  /// Packs members that need no detail when there are too many.
  ///
  /// - Parameter keeps: true for a member that keeps its detail whatever is going on.
  mutating func pack(now: Instant, unixMicroseconds: UInt64, keeps: (NodeID) -> Bool) {
    guard details.count > settings.detailedMembers, now >= packAgain else { return }
    // What cannot be packed now is not tried again with every step.
    packAgain = now + MemberTable.packInterval
    var rest: [Detail] = []
    for detail in details {
      let place = Int(detail.place)
      if let packed = MemberTable.packed(detail.entry, now, unixMicroseconds, round), !keeps(id(at: detail.place)) {
        places[place] = packed
      } else {
        places[place].number = UInt64(rest.count)
        rest.append(detail)
      }
    }
    details = rest
  }

  /// The place of a member with which nothing is going on, heard of too long ago for its datagrams to be under way still;
  /// nil for others.
  private static func packed(
    _ entry: MemberEntry, _ now: Instant, _ unixMicroseconds: UInt64, _ round: UInt64
  ) -> Place? {
    func isOver(_ time: Instant?, _ span: Microseconds) -> Bool { time.map { now - $0 > span } ?? true }
    guard entry.state == .alive, entry.farewell == nil, !entry.isUnseen, entry.body.via.isEmpty,
      entry.accusations.isEmpty, entry.probe == nil,
      entry.refuted == 0,
      entry.verified == nil || entry.verified == entry.address, entry.seenPlace == AddressPrefix(entry.address),
      entry.round == round, entry.nextDial <= now,
      isOver(entry.toldAt, .seconds(10)),
      isOver(entry.newsAt, .seconds(10)), isOver(entry.accusationsSince, .seconds(60)),
      isOver(entry.silentAt, MembershipMachine.silenceMemory),
      entry.window.newest < .max, entry.window.newest &+ 5_000_000 < unixMicroseconds
    else { return nil }
    let addresses = entry.body.addresses
    guard let place = entry.address.map({ addresses.firstIndex(of: $0) }) ?? addresses.count else { return nil }
    return Place(
      record: entry.record, number: entry.window.newest, sinceSeconds: seconds(entry.since),
      lastSeenSeconds: entry.lastSeen.map { seconds($0) + 1 } ?? 0,
      roundTripMicroseconds: UInt32(clamping: entry.roundTrip?.smoothed.count ?? 0), addressIndex: UInt8(place),
      isVerified: entry.verified != nil)
  }
}

// Walks, in the order of ids unless they say otherwise.
extension MemberTable: Sequence {
  /// The numbers of all members that are to be probed, which a new round begins with: in no order that means anything,
  /// but the same in every run.
  mutating func beginRound() -> [UInt32] {
    round += 1
    free += retired
    retired = []
    for index in details.indices where details[index].entry.isActive { details[index].entry.round = round }
    var active: [UInt32] = []
    active.reserveCapacity(count)
    for (number, place) in places.enumerated() {
      if let detail = place.detail {
        if details[detail].entry.isActive { active.append(UInt32(number)) }
      } else if !place.isFree {
        active.append(UInt32(number))
      }
    }
    return active
  }

  /// Members that are down: each has a detail.
  var down: [NodeID] { OrderedSet(details.filter { $0.entry.state == .down }.map { id(at: $0.place) }).members }

  /// Members that are suspect because of an accuser, among others.
  func suspect(accusedBy accuser: NodeID) -> [NodeID] {
    let found = details.indices.filter {
      details[$0].entry.state == .suspect && details[$0].entry.accusations.contains(accuser)
    }
    return OrderedSet(found.map { id(at: details[$0].place) }).members
  }

  /// Members whose refuted accusations are remembered.
  var withRefuted: [NodeID] {
    OrderedSet(details.filter { $0.entry.refuted > 0 }.map { id(at: $0.place) }).members
  }

  /// Members whose record has run out.
  mutating func expired(at unixSeconds: UInt64) -> [NodeID] {
    guard earliestExpiry <= unixSeconds else { return [] }
    var found: [NodeID] = []
    earliestExpiry = .max
    for (member, entry) in self {
      let expiry = entry.body.expiresUnixSeconds
      if expiry <= unixSeconds { found.append(member) }
      earliestExpiry = Swift.min(earliestExpiry, expiry)
    }
    return found
  }

  var keys: [NodeID] { map(\.key) }

  func makeIterator() -> Iterator { Iterator(self, place: 0, own: own.makeIterator()) }

  /// The entries from `id` on.
  func entries(from id: NodeID) -> Iterator {
    Iterator(self, place: shared.firstPlace(from: id), own: own.entries(from: id))
  }

  struct Iterator: IteratorProtocol, Sequence {
    private let table: MemberTable
    private var place: Int
    private var own: Table<NodeID, UInt32>.Iterator
    private var nextOwn: (key: NodeID, value: UInt32)?

    init(_ table: MemberTable, place: Int, own: Table<NodeID, UInt32>.Iterator) {
      self.table = table
      self.place = place
      self.own = own
      nextOwn = self.own.next()
    }

    mutating func next() -> (key: NodeID, value: MemberEntry)? {
      while place < table.shared.ids.count, table.places[place].isFree { place += 1 }
      let shared = place < table.shared.ids.count ? table.shared.ids[place] : nil
      if let other = nextOwn, shared.map({ other.key < $0 }) ?? true {
        nextOwn = own.next()
        return table.entry(at: Int(other.value)).map { (other.key, $0) }
      }
      guard let shared else { return nil }
      defer { place += 1 }
      return table.entry(at: place).map { (shared, $0) }
    }
  }
}
