import Primitives
import Testing
import Wire

@testable import Membership

@Suite struct MemberTableTests {
  private static let wall: UInt64 = 1_700_000_000_000_000

  private static func sealed(_ number: Int) -> Verified<Message> {
    var identity = StandIn.identity(number)
    var own = record(number, addresses: [address(number % 64)])
    own.expiresUnixSeconds = 1_700_000_000 + UInt64(1_000 + number)
    return identity.seal(.nodeRecord(own), now: .zero)
  }

  private static func entry(_ number: Int, settings: MembershipSettings) -> MemberEntry {
    let record = sealed(number)
    guard case .nodeRecord(let body) = record.value.body else { preconditionFailure("it is a record") }
    var entry = MemberEntry(record: record, body: body, now: .zero, settings: settings)
    entry.address = body.addresses.first
    entry.isUnseen = false
    entry.digestShare = MemberDigest.Bucket(member: record.author, sequence: record.sequence, hasLeft: false)
    return entry
  }

  @Test func aPlaceTakesThirtyTwoBytes() { #expect(MemoryLayout<MemberTable.Place>.stride == 32) }

  /// Against the plainest map: whichever members are in the shared index, and whatever is packed.
  @Test(arguments: 1...20 as ClosedRange<UInt64>) func behavesAsAMap(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var settings = MembershipSettings.lan
    settings.detailedMembers = 4
    let known = KnownMembers((0..<20).map { MemberTableTests.sealed($0) }, settings: settings, now: .zero)
    var table = known.table
    var plain = Table<NodeID, MemberEntry>()
    for number in 0..<20 {
      let entry = MemberTableTests.entry(number, settings: settings)
      plain[entry.record.author] = entry
    }
    for step in 0..<400 {
      var entry = MemberTableTests.entry(generator.index(below: 40), settings: settings)
      entry.round = table.round
      let id = entry.record.author
      switch generator.index(below: 6) {
      case 0: #expect((table.removeValue(forKey: id) == nil) == (plain.removeValue(forKey: id) == nil))
      case 1...2:
        if generator.chance(partsPerMillion: 300_000) { entry.state = .suspect }
        (table[id], plain[id]) = (entry, entry)
      case 3:
        let now = Instant.zero + .seconds(Int64(step))
        #expect((table.modify(id) { $0.lastSeen = now } == nil) == (plain.modify(id) { $0.lastSeen = now } == nil))
      case 4:
        let now = Instant.zero + .seconds(500 + 2 * Int64(step))
        table.pack(now: now, unixMicroseconds: MemberTableTests.wall + 2_000_000_000) { _ in false }
      default: #expect(table.beginRound().count == plain.count)
      }
      #expect(table.count == plain.count)
      #expect(table.contains(id) == plain.contains(id))
      #expect(table[id]?.lastSeen == plain[id]?.lastSeen)
    }
    #expect(table.keys == plain.keys)
    let start = StandIn.identity(7).id
    #expect(table.entries(from: start).map(\.key) == plain.entries(from: start).map(\.key))
    for (member, entry) in table {
      #expect(entry.state == plain[member]?.state)
      #expect(entry.record.value == plain[member]?.record.value)
      #expect(entry.address == plain[member]?.address)
      #expect(entry.digestShare == plain[member]?.digestShare)
      #expect(table.number(of: member).map(table.id) == member)
    }
  }

  @Test func packsOnlyWithWhomNothingGoesOn() {
    var settings = MembershipSettings.lan
    settings.detailedMembers = 1
    var table = MemberTable(settings: settings)
    var ids: [NodeID] = []
    for number in 0..<9 {
      var entry = MemberTableTests.entry(number, settings: settings)
      entry.round = table.round
      switch number {
      case 0: entry.state = .down
      case 1: entry.probe = 7
      case 2: entry.refuted = 1
      case 3: entry.address = address(63)
      case 4: entry.nextDial = .zero + .seconds(2_000)
      case 5: _ = entry.window.admit(MemberTableTests.wall + 999_000_000)
      case 8: entry.isUnseen = true
      default: _ = entry.window.admit(MemberTableTests.wall + 1)
      }
      ids.append(entry.record.author)
      table[entry.record.author] = entry
    }
    let linked = ids[6]
    table.pack(now: .zero + .seconds(1_000), unixMicroseconds: MemberTableTests.wall + 1_000_000_000) { $0 == linked }
    #expect(table.detailCount == 8)
    // What a packed member said before is not taken again.
    let isTakenAgain = table.modify(ids[7]) { $0.window.admit(MemberTableTests.wall + 1) }
    #expect(isTakenAgain == false)
    let isNewTaken = table.modify(ids[7]) { $0.window.admit(MemberTableTests.wall + 2) }
    #expect(isNewTaken == true)
  }

  @Test func aPlaceIsGivenAnewOnlyInTheNextRound() {
    var table = MemberTable(settings: .lan)
    func add(_ number: Int) -> UInt32? {
      let entry = MemberTableTests.entry(number, settings: .lan)
      table[entry.record.author] = entry
      return table.number(of: entry.record.author)
    }
    let first = add(1)
    table.removeValue(forKey: StandIn.identity(1).id)
    #expect(add(2) != first)
    _ = table.beginRound()
    #expect(add(3) == first)
  }

  @Test func whoseRecordHasRunOutIsFound() {
    let known = KnownMembers((0..<5).map { MemberTableTests.sealed($0) }, settings: .lan, now: .zero)
    var table = known.table
    #expect(table.expired(at: 1_700_000_999) == [])
    #expect(table.expired(at: 1_700_001_000) == [StandIn.identity(0).id])
    #expect(OrderedSet(table.expired(at: 1_700_001_002)) == OrderedSet((0..<3).map { StandIn.identity($0).id }))
  }
}
