import Ledger
import Primitives
import Testing
import Wire

@testable import Core

/// A state of many chunks, from peers that answer, stay silent, or lie.
@Suite struct SnapshotFetchTests {
  private let snapshot: StateSnapshot
  private let target: SyncTarget
  private let now = Instant.zero + .seconds(100)

  private static func id(_ number: Int) -> NodeID { NodeID(Digest(hashing: Array("\(number)".utf8)).value) }

  init() throws {
    let cluster = try Cluster(1)
    let genesis = try Genesis(
      name: "many accounts", createdMilliseconds: 1, parameters: ChainParameters(), validators: [cluster.id(0)],
      balances: (0..<50_000).map { Genesis.Balance(account: Self.id($0), amountMicrocredits: 1) })
    let ledger = LedgerMachine(genesis: genesis)
    snapshot = try #require(ledger.state(at: ledger.finalID)).snapshot()
    let set = genesis.validatorSet
    let header = BlockHeader(
      epoch: 0, view: 1, height: snapshot.height, parentID: .zero, parentView: 0, timestampMilliseconds: 2,
      transactionsRoot: .zero, stateRoot: snapshot.stateRoot, nextValidators: set.digest, reveal: .zero)
    let vote = cluster.members[0].signer.vote(
      .finalize(epoch: 0, view: 1, parentView: 0, blockID: header.id), as: 0)
    let certificate = try #require(Certificate.assemble([vote]))
    let link = try #require(EpochLink(header: header, finalization: certificate.value, next: set.validators))
    target = SyncTarget(link: link, signers: set)
  }

  private func fetch() -> SnapshotFetch {
    SnapshotFetch(target: target, answering: [], now: now, generator: SeededGenerator(seed: 7))
  }

  private func chunk(_ message: ConsensusMessage) throws -> SnapshotChunk {
    guard case .snapshotRequest(let height, let key) = message, height == snapshot.height else {
      throw Unexpected()
    }
    return snapshot.chunk(covering: key)
  }

  private struct Unexpected: Error {}

  @Test func manyChunksComeFromManyPeersAtOnce() throws {
    var fetch = fetch()
    let peers = OrderedSet((0..<6).map { Self.id($0) })
    var loads: [NodeID: Int] = [:]
    var most = 0
    var under: [(ConsensusMessage, NodeID)] = []
    var rounds = 0
    while !fetch.assembly.isWhole, rounds < 1_000 {
      under += fetch.ask(peers, preferring: OrderedSet(), now: now)
      most = max(most, under.count)
      #expect(under.count <= SnapshotFetch.maximumRequests)
      let (message, peer) = under.removeFirst()
      loads[peer, default: 0] += 1
      _ = fetch.take(try chunk(message), from: peer, now: now)
      rounds += 1
    }
    #expect(fetch.assembly.isWhole)
    let chunks = Array(snapshot.chunks).count
    #expect(chunks > 4)
    // The first few requests may have met one chunk, the others none twice.
    #expect(rounds <= chunks + SnapshotFetch.maximumRequests)
    #expect(most > SnapshotFetch.maximumFirstRequests && loads.count > 2)
    #expect(fetch.assembly.entryCount >= 50_000)
  }

  @Test func whatOnePeerLeavesAnotherBrings() throws {
    var fetch = fetch()
    let silent = OrderedSet([Self.id(0), Self.id(1)])
    let liar = Self.id(2)
    let honest = Self.id(3)
    let peers = OrderedSet(silent.members + [liar, honest])
    var time = now
    var asked: [NodeID: Int] = [:]
    var rounds = 0
    while !fetch.assembly.isWhole, rounds < 1_000 {
      let sent = fetch.ask(peers, preferring: OrderedSet(), now: time)
      #expect(!fetch.isStuck(at: time))
      for (message, peer) in sent {
        asked[peer, default: 0] += 1
        let trueChunk = try chunk(message)
        if peer == honest { _ = fetch.take(trueChunk, from: peer, now: time) }
        guard peer == liar else { continue }
        let falseChunk = SnapshotChunk(
          height: trueChunk.height, depth: trueChunk.depth, prefix: trueChunk.prefix,
          entries: Array(trueChunk.entries.dropFirst()), siblings: trueChunk.siblings)
        let taking = fetch.take(falseChunk, from: peer, now: time)
        if case .taken = taking { Issue.record("a chunk without an entry was taken") }
      }
      if sent.isEmpty { time = max(time, fetch.nextWake) }
      rounds += 1
    }
    #expect(fetch.assembly.isWhole)
    for peer in silent { #expect(asked[peer] ?? 0 <= SnapshotFetch.maximumFailures + 1) }
    #expect(asked[liar] ?? 0 <= SnapshotFetch.maximumRequestsPerPeer)
  }

  @Test func nobodyIsAskedForEver() throws {
    var fetch = fetch()
    let peers = OrderedSet((0..<3).map { Self.id($0) })
    var time = now
    var sent = 0
    while !fetch.isStuck(at: time), sent < 100 {
      sent += fetch.ask(peers, preferring: peers, now: time).count
      time = max(time + Microseconds(1), fetch.nextWake)
    }
    #expect(fetch.isStuck(at: time))
    #expect(sent <= 3 * (SnapshotFetch.maximumFailures + SnapshotFetch.maximumRequestsPerPeer))
    #expect(time - now <= SnapshotFetch.patience + .seconds(1))
    for place in fetch.occupancy { #expect(!place.isExceeded) }
  }

  @Test func whatWasNotAskedForIsNotTaken() throws {
    var fetch = fetch()
    let peers = OrderedSet([Self.id(0)])
    let sent = fetch.ask(peers, preferring: peers, now: now)
    let first = try #require(sent.first)
    guard case .refused = fetch.take(try chunk(first.0), from: Self.id(1), now: now) else {
      Issue.record("another peer's answer was taken")
      return
    }
    guard case .refused = fetch.take(snapshot.chunk(covering: Digest(hashing: [200])), from: Self.id(5), now: now)
    else {
      Issue.record("a chunk that nobody asked for was taken")
      return
    }
    #expect(fetch.assembly.entryCount == 0)
  }
}
