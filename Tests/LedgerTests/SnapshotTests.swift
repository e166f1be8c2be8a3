import Primitives
import Testing
import Wire

@testable import Ledger

/// A state that is handed on.
@Suite struct SnapshotTests {
  /// A chain with accounts, offers, and jobs in several states.
  private func busy(accounts: Int = 40) throws -> Chain {
    var chain = try EpochTests.chain(count: accounts, opening: 1_000_000_000)
    for provider in chain.members.prefix(3) { #expect(try chain.run(provider, .offer(chain.offer())) == nil) }
    _ = try chain.running(chain.members[5])
    _ = try chain.assigned(chain.members[6])
    _ = try chain.submit(chain.members[7], chain.terms { $0.driver = "nobody" })
    #expect(try chain.run(chain.members[8], .stake(amountMicrocredits: EpochTests.least)) == nil)
    #expect(try chain.run(chain.members[0], .unstake) == nil)
    let beacon = HashChain(seed: Digest(number(1)), length: 60)
    #expect(try chain.run(chain.members[1], .registerBeacon(tip: beacon.tip, length: beacon.length)) == nil)
    chain.beacons[chain.members[1]] = beacon
    #expect(try chain.run(chain.members[1], .attest(provider: chain.members[2], liveness: .down)) == nil)
    return chain
  }

  private func header(_ chain: Chain) throws -> BlockHeader {
    try #require(chain.history.last).block.value.header
  }

  private func assembled(_ snapshot: StateSnapshot, _ header: BlockHeader) throws -> SnapshotAssembly {
    var assembly = SnapshotAssembly(header: header)
    for chunk in snapshot.chunks {
      let refusal = assembly.add(chunk)
      #expect(refusal == nil)
    }
    return assembly
  }

  @Test func aLedgerFromASnapshotIsTheSameLedger() throws {
    var chain = try busy()
    let snapshot = try chain.state.snapshot()
    let assembly = try assembled(snapshot, header(chain))
    #expect(assembly.isWhole && assembly.entryCount > 60)
    let header = try header(chain)
    var other = try #require(LedgerMachine(genesis: chain.genesis, snapshot: assembly, header: header))
    #expect(other.finalHeight == chain.ledger.finalHeight && other.finalID == chain.ledger.finalID)
    #expect(other.finalStateRoot == chain.ledger.finalStateRoot)
    let state = try #require(other.state(at: other.finalID))
    #expect(state.inconsistencies() == [])
    #expect(state.rehash() == state.stateRoot)
    #expect(state.auditSum() == (try chain.state.auditSum()))
    #expect(other.nextDueMilliseconds(on: other.finalID) == chain.ledger.nextDueMilliseconds(on: chain.tip))
    #expect(Array(state.snapshot().chunks) == Array(snapshot.chunks))
    // The two go on alike, over the end of an epoch.
    let start = chain.history.count
    for _ in 0..<12 { try chain.block(after: 20_000) }
    for entry in chain.history[start...] {
      let report = try other.execute(entry.block, leader: entry.leader).get()
      #expect(report.stateRoot == entry.block.value.header.stateRoot)
    }
    _ = other.finalize(chain.tip)
    #expect(other.finalStateRoot == chain.ledger.finalStateRoot)
    // What was taken before has not moved.
    #expect(Array(snapshot.chunks) == Array(state.snapshot().chunks))
    #expect(snapshot.stateRoot != chain.ledger.finalStateRoot)
  }

  @Test func aSnapshotOfABlockThatIsNotFinalReadsThroughItsOverlays() throws {
    var chain = try busy()
    let leader = chain.nextLeader()
    try chain.nextView()
    let pay = try chain.next(chain.members[9], .transfer(to: chain.members[10], amountMicrocredits: 5))
    let draft = try chain.draft(timestampMilliseconds: chain.time + 5, leader: leader)
    let block = try chain.build(on: chain.tip, [pay], draft, leader: leader).block
    let before = try #require(chain.ledger.state(at: block.value.id)).snapshot()
    _ = chain.ledger.finalize(block.value.id)
    chain.tip = block.value.id
    #expect(Array(before.chunks) == Array(try chain.state.snapshot().chunks))
    let assembly = try assembled(before, block.value.header)
    #expect(LedgerMachine(genesis: chain.genesis, snapshot: assembly, header: block.value.header) != nil)
  }

  @Test func chunksComeInAnyOrderOverlapAndRepeat() throws {
    let chain = try busy()
    let (snapshot, header) = (try chain.state.snapshot(), try header(chain))
    var random = SeededGenerator(seed: 4)
    for round in 0..<20 {
      var assembly = SnapshotAssembly(header: header)
      var seen = 0
      while let missing = assembly.nextMissing(after: round % 2 == 0 ? nil : Digest(number(random.next(), 5)))
        ?? assembly.nextMissing()
      {
        #expect(!assembly.isWhole)
        let chunk = snapshot.chunk(covering: missing, depth: random.index(below: 6))
        let refusal = assembly.add(chunk)
        #expect(refusal == nil)
        let again = assembly.add(chunk)
        #expect(again == .covered)
        seen += 1
        try #require(seen < 100)
      }
      #expect(assembly.isWhole)
      #expect(assembly.entryCount == snapshot.chunk(covering: .zero, depth: 0).entries.count)
      let ledger = try #require(LedgerMachine(genesis: chain.genesis, snapshot: assembly, header: header))
      #expect(ledger.finalStateRoot == snapshot.stateRoot)
    }
  }

  @Test func gapsAreFoundInOrder() throws {
    let chain = try busy()
    let snapshot = try chain.state.snapshot()
    var assembly = SnapshotAssembly(header: try header(chain))
    #expect(assembly.nextMissing() == .zero)
    func place(_ byte: UInt8) -> Digest {
      Digest(Bytes32([byte] + [UInt8](repeating: 0, count: 31)) ?? Bytes32())
    }
    for byte in [0x40, 0xc0, 0x00] as [UInt8] {
      let refusal = assembly.add(snapshot.chunk(covering: place(byte), depth: 2))
      #expect(refusal == nil)
    }
    #expect(assembly.nextMissing() == place(0x80))
    #expect(assembly.nextMissing(after: place(0x90)) == place(0x90).value.successor.map { Digest($0) })
    #expect(assembly.nextMissing(after: place(0xc0)) == nil)
    let last = Digest(Bytes32([UInt8](repeating: 0xff, count: 32)) ?? Bytes32())
    #expect(assembly.nextMissing(after: last) == nil)
    #expect(LedgerMachine(genesis: chain.genesis, snapshot: assembly, header: try header(chain)) == nil)
    // A chunk around all of it brings only what is missing.
    let refusal = assembly.add(snapshot.chunk(covering: .zero, depth: 0))
    #expect(refusal == nil)
    #expect(assembly.isWhole)
    #expect(LedgerMachine(genesis: chain.genesis, snapshot: assembly, header: try header(chain)) != nil)
  }

  @Test func whatDoesNotBelongIsDropped() throws {
    var chain = try busy()
    let header = try header(chain)
    let snapshot = try chain.state.snapshot()
    try chain.block()
    let later = try chain.state.snapshot()
    var assembly = SnapshotAssembly(header: header)
    let foreign = assembly.add(later.chunk(covering: .zero))
    #expect(foreign == .unproven)
    var wrongHeight = later.chunk(covering: .zero)
    wrongHeight = SnapshotChunk(
      height: header.height, depth: 0, prefix: .zero, entries: wrongHeight.entries, siblings: [])
    let lied = assembly.add(wrongHeight)
    #expect(lied == .unproven)
    #expect(assembly.entryCount == 0 && assembly.nextMissing() == .zero)
    let whole = try assembled(snapshot, header)
    // Another block's header, another genesis.
    #expect(LedgerMachine(genesis: chain.genesis, snapshot: whole, header: try self.header(chain)) == nil)
    var timeless = header
    timeless.timestampMilliseconds += 1
    #expect(LedgerMachine(genesis: chain.genesis, snapshot: whole, header: timeless) == nil)
    let stranger = try Chain()
    #expect(LedgerMachine(genesis: stranger.genesis, snapshot: whole, header: header) == nil)
  }

  @Test func provenEntriesThatDoNotReadAreRefused() throws {
    for entry in [
      SnapshotEntry(table: 99, key: [], value: []), SnapshotEntry(table: 1, key: [1], value: []),
      SnapshotEntry(table: 9, key: [0], value: []), SnapshotEntry(table: 1, key: number(1).bytes, value: [0x80, 0]),
    ] {
      let leaf = MerkleNode(place: [entry.table] + entry.key, value: entry.value)
      var header = try header(busy())
      header.stateRoot = leaf.digest
      var assembly = SnapshotAssembly(header: header)
      let refusal = assembly.add(
        SnapshotChunk(height: header.height, depth: 0, prefix: .zero, entries: [entry], siblings: []))
      #expect(refusal == .unreadable)
      #expect(!assembly.isWhole)
    }
    // A state without the entries that every state has.
    var header = try header(busy())
    header.stateRoot = .zero
    var assembly = SnapshotAssembly(header: header)
    let refusal = assembly.add(
      SnapshotChunk(height: header.height, depth: 0, prefix: .zero, entries: [], siblings: []))
    #expect(refusal == nil && assembly.isWhole)
    #expect(LedgerMachine(genesis: try Chain().genesis, snapshot: assembly, header: header) == nil)
  }

  @Test func separateRangesAreBounded() throws {
    let chain = try busy()
    let snapshot = try chain.state.snapshot()
    var assembly = SnapshotAssembly(header: try header(chain))
    func place(_ number: Int) -> Digest {
      let bytes = [UInt8(number >> 8), UInt8(number & 0xff)] + [UInt8](repeating: 0, count: 30)
      return Digest(Bytes32(bytes) ?? Bytes32())
    }
    for number in 0..<SnapshotAssembly.maximumRanges {
      let refusal = assembly.add(snapshot.chunk(covering: place(number * 2), depth: 16))
      #expect(refusal == nil)
    }
    let tooFar = assembly.add(snapshot.chunk(covering: place(2 * SnapshotAssembly.maximumRanges + 8), depth: 16))
    #expect(tooFar == .tooManyRanges)
    // One between two others makes room.
    let between = assembly.add(snapshot.chunk(covering: place(1), depth: 16))
    #expect(between == nil)
    let second = assembly.add(snapshot.chunk(covering: place(2 * SnapshotAssembly.maximumRanges + 8), depth: 16))
    #expect(second == nil)
  }

  @Test func everyTableAndRecordSurvives() throws {
    var chain = try busy()
    // One that no block has drawn for yet.
    _ = try chain.submit(chain.members[9], chain.terms())
    let assembly = try assembled(try chain.state.snapshot(), header(chain))
    let tables = OrderedSet(try chain.state.snapshot().chunk(covering: .zero, depth: 0).entries.map(\.table))
    #expect(tables.members == TableNumber.allCases.map(\.rawValue))
    #expect(assembly.tables.accounts.count == chain.members.count)
    #expect(
      assembly.tables.jobs == (try chain.state.view.jobs.entries().reduce(into: Table()) { $0[$1.key] = $1.value }))
  }
}
