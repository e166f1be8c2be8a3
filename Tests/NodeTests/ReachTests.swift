import NIOPosix
import Primitives
import Sodium
import Synchronization
import Testing
import Transport
import Wire

@testable import Node

/// What a node did, and who is linked with it.
private final class Notes: Sendable {
  let linked = Mutex<[NodeID]>([])
  let dials = Mutex<[String]>([])
  let told = Mutex<[String]>([])
}

/// Who comes waits until it is opened.
private final class Gate: Sendable {
  /// Nil once it is open.
  private let waiting = Mutex<[CheckedContinuation<Void, Never>]?>([])

  func wait(isWaiting: () -> Void) async {
    await withCheckedContinuation { continuation in
      let isOpen = waiting.withLock { waiting in
        waiting?.append(continuation)
        return waiting == nil
      }
      if isOpen { continuation.resume() }
      isWaiting()
    }
  }

  func open() {
    for continuation in waiting.withLock({ $0.take() }) ?? [] { continuation.resume() }
  }
}

private func record(_ addresses: [String], via: [NodeID] = []) -> NodeRecord {
  var record = NodeRecord(
    name: "n", addresses: addresses.compactMap { PeerAddress(text: $0) }, roles: [], capabilities: .zero, agent: "a",
    expiresUnixSeconds: 1)
  record.via = via
  return record
}

@Suite struct ConnectServiceTests {
  private let start = Instant.zero + .seconds(1_000)

  private func service(
    _ notes: Notes, records: [NodeID: NodeRecord] = [:], answer: ConnectAnswer? = .dialling
  ) -> ConnectService {
    ConnectService(
      links: { notes.linked.withLock { $0 } }, record: { records[$0] },
      dial: { address, id in notes.dials.withLock { $0.append("\(address) \(id.short)") } },
      tell: { request, peer in
        notes.told.withLock { $0.append("\(request) to \(peer.short)") }
        return answer
      })
  }

  @Test func aHelperTellsWhomItIsLinkedWith() async throws {
    let notes = Notes()
    let (asker, target) = (try nodeID(1), try nodeID(2))
    notes.linked.withLock { $0 = [asker, target] }
    let service = service(notes)
    #expect(await service.answer(.tell(target), from: asker, at: start) == .dialling)
    #expect(notes.told.withLock { $0 } == ["\(ConnectRequest.dial(asker)) to \(target.short)"])
    #expect(await service.answer(.tell(try nodeID(3)), from: asker, at: start) == .notLinked)
    #expect(await service.answer(.tell(asker), from: asker, at: start) == .notLinked)
    // What the target answers is passed on; one that does not answer is as good as not linked.
    #expect(
      await self.service(notes, answer: .noAddress).answer(.tell(target), from: asker, at: start) == .noAddress)
    #expect(await self.service(notes, answer: nil).answer(.tell(target), from: asker, at: start) == .notLinked)
  }

  @Test func whoIsToldDialsTheAddressesOfTheRecordAndNoOthers() async throws {
    let notes = Notes()
    let (helper, asker) = (try nodeID(1), try nodeID(2))
    let (hidden, lost) = (try nodeID(3), try nodeID(4))
    let service = service(
      notes,
      records: [
        asker: record(["192.0.2.1:1", "192.0.2.2:2", "192.0.2.3:3"]), hidden: record(["192.0.2.9:9"], via: [helper]),
        lost: record(["192.0.2.1:0"]),
      ])
    #expect(await service.answer(.dial(asker), from: helper, at: start) == .dialling)
    #expect(notes.dials.withLock { $0 } == ["192.0.2.1:1 \(asker.short)", "192.0.2.2:2 \(asker.short)"])
    for id in [hidden, lost, try nodeID(5)] {
      #expect(await service.answer(.dial(id), from: helper, at: start) == .noAddress)
    }
    // A link that is there needs no dial.
    notes.linked.withLock { $0 = [hidden] }
    #expect(await service.answer(.dial(hidden), from: helper, at: start) == .dialling)
    #expect(notes.dials.withLock { $0.count } == 2)
  }

  @Test func nobodyIsMadeToDialOften() async throws {
    let notes = Notes()
    let (helper, other, asker) = (try nodeID(1), try nodeID(2), try nodeID(3))
    let service = service(notes, records: [asker: record(["192.0.2.1:1"])])
    // Whoever passes it on, the one who is dialled is the same.
    for number in 0..<ConnectService.askedPerMinute {
      #expect(await service.answer(.dial(asker), from: number % 2 == 0 ? helper : other, at: start) == .dialling)
    }
    for peer in [helper, other] {
      #expect(await service.answer(.dial(asker), from: peer, at: start) == .tooMany)
    }
    #expect(notes.dials.withLock { $0.count } == ConnectService.askedPerMinute)
    let later = start + .seconds(60) / Int64(ConnectService.askedPerMinute)
    #expect(await service.answer(.dial(asker), from: helper, at: later) == .dialling)
    #expect(await service.answer(.dial(asker), from: other, at: later) == .tooMany)
    for _ in 0..<ConnectService.askedPerMinute { _ = await service.answer(.tell(helper), from: asker, at: start) }
    #expect(await service.answer(.tell(helper), from: asker, at: start) == .tooMany)
    #expect(await service.answer([], from: helper, source: nil) == nil)
  }

  @Test func whoDoesNotAnswerHoldsFewPlaces() async throws {
    let notes = Notes()
    let (silent, other) = (try nodeID(1), try nodeID(2))
    notes.linked.withLock { $0 = [silent, other] }
    let (asked, asking) = AsyncStream<Void>.makeStream()
    let gate = Gate()
    let service = ConnectService(
      links: { notes.linked.withLock { $0 } }, record: { _ in nil }, dial: { _, _ in },
      tell: { _, peer in
        guard peer == silent else { return .dialling }
        await gate.wait { asking.yield() }
        return nil
      })
    await withTaskGroup(of: ConnectAnswer.self) { group in
      for number in UInt8(3)..<5 {
        group.addTask { await service.answer(.tell(silent), from: (try? nodeID(number)) ?? other, at: start) }
      }
      var waiting = 0
      for await _ in asked {
        waiting += 1
        if waiting == 2 { break }
      }
      #expect(await service.answer(.tell(silent), from: other, at: start) == .tooMany)
      #expect(await service.answer(.tell(other), from: silent, at: start) == .dialling)
      gate.open()
      for await answer in group { #expect(answer == .notLinked) }
    }
    #expect(await service.answer(.tell(silent), from: other, at: start) == .notLinked)
  }

  @Test func manyIdentitiesOfOnePrefixAskNoMoreThanAFew() async throws {
    let notes = Notes()
    let target = try nodeID(1)
    notes.linked.withLock { $0 = [target] }
    let service = service(notes)
    var told = 0
    for number in 0..<200 {
      let asker = try #require(NodeID(bytes: [UInt8(number)] + [UInt8](repeating: 3, count: 31)))
      let source = PeerAddress(text: "192.0.2.\(number):1")
      if await service.answer(.tell(target), from: asker, source: source, at: start) == .dialling { told += 1 }
    }
    #expect(told == ConnectService.askedPerMinuteOfPrefix)
    let elsewhere = PeerAddress(text: "198.51.100.1:1")
    #expect(await service.answer(.tell(target), from: try nodeID(7), source: elsewhere, at: start) == .dialling)
  }
}

@Suite struct ReacherTests {
  private func reacher(
    _ notes: Notes, _ records: [NodeID: NodeRecord], dial: @escaping @Sendable (NodeID) -> Void = { _ in },
    tell: @escaping @Sendable (ConnectRequest, NodeID) -> ConnectAnswer? = { _, _ in nil }
  ) -> Reacher {
    Reacher(
      links: { notes.linked.withLock { $0 } }, member: { id in records[id].map { ($0, nil) } },
      dial: { address, id in
        notes.dials.withLock { $0.append("\(address)") }
        dial(id)
      },
      tell: { request, peer in
        notes.told.withLock { $0.append("\(request) to \(peer.short)") }
        return tell(request, peer)
      })
  }

  @Test func aNodeThatCanBeDialledIsDialled() async throws {
    let notes = Notes()
    let id = try nodeID(1)
    let reacher = reacher(
      notes, [id: record(["192.0.2.1:1", "192.0.2.1:0"])], dial: { id in notes.linked.withLock { $0.append(id) } })
    #expect(await reacher.reach(id))
    #expect(await reacher.reach(id))
    #expect(notes.dials.withLock { $0 } == ["192.0.2.1:1"])
    #expect(await !reacher.reach(try nodeID(2)))
  }

  @Test func aNodeBehindANATIsAskedToDial() async throws {
    let notes = Notes()
    let (deaf, helper, target) = (try nodeID(1), try nodeID(2), try nodeID(3))
    let reacher = reacher(
      notes,
      [
        target: record(["192.0.2.7:7"], via: [deaf, helper]), helper: record(["192.0.2.2:2"]),
        deaf: record(["192.0.2.1:1"]),
      ],
      dial: { id in notes.linked.withLock { $0.append(id) } },
      tell: { request, peer in
        guard peer == helper, request == .tell(target) else { return .notLinked }
        notes.linked.withLock { $0.append(target) }
        return .dialling
      })
    #expect(await reacher.reach(target))
    // The helpers were dialled, and never the one behind the NAT.
    #expect(notes.dials.withLock { $0 } == ["192.0.2.1:1", "192.0.2.2:2"])
    #expect(notes.told.withLock { $0.count } == 2)
  }
}

@Suite struct DialBackTests {
  @Test func aNodeLearnsWhetherItCanBeDialled() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let key = try SigningKey.generate()
    let network = Digest(hashing: [1])
    let asker = try LinkEndpoint(identity: key, networkID: network, group: group, logger: silence()) { _ in }
    try await asker.start(listen: [try #require(PeerAddress(text: "127.0.0.1:0"))])
    let address = try #require(asker.listening.first)
    // The link's source has another port than the one that is listened on.
    let source = try #require(PeerAddress(ip: address.ip, port: 9))
    let service = DialBackService(networkID: network, group: group, logger: silence())
    var now = Instant.zero
    func ask(_ port: UInt16, as id: NodeID) async throws -> DialBackAnswer {
      let body = try #require(
        await service.answer(DialBackRequest(port: port).encoded, from: id, at: source, now: now))
      return try DialBackAnswer(decoding: body)
    }
    // A link is made within five seconds or not at all: a busy machine may need another try.
    var reached = try await ask(address.port, as: key.id)
    for _ in 0..<5 where !reached.isReached {
      now = now + .seconds(60)
      reached = try await ask(address.port, as: key.id)
    }
    #expect(reached == DialBackAnswer(isReached: true, reason: ""))
    let closed = try await ask(1, as: key.id)
    // Whether something else listens there is not told.
    #expect(closed == DialBackAnswer(isReached: false, reason: DialBackService.unreached))
    let third = try await ask(address.port, as: key.id)
    #expect(!third.isReached && third.reason == "asked too often")
    let other = try await ask(address.port, as: try nodeID(9))
    #expect(other == closed)
    #expect(await service.answer([], from: key.id, at: source) == nil)
    await asker.shutdown()
    try await group.shutdownGracefully()
  }

  // Identities cost nothing; addresses do.
  @Test func aNetworkAsksSoOftenAndNoMore() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let service = DialBackService(networkID: Digest(hashing: [1]), group: group, logger: silence())
    func ask(_ number: Int, at source: String, _ now: Instant = .zero) async throws -> String {
      let address = try #require(PeerAddress(text: source))
      let body = await service.answer(
        DialBackRequest(port: 1).encoded, from: try nodeID(UInt8(number)), at: address, now: now)
      return try DialBackAnswer(decoding: try #require(body)).reason
    }
    for number in 0..<DialBackService.askedPerMinuteOfPrefix {
      #expect(try await ask(number, at: "127.0.0.\(number + 1):9") == DialBackService.unreached)
    }
    #expect(try await ask(100, at: "127.0.0.100:9") == DialBackService.Unsaid.askedTooOften.rawValue)
    #expect(try await ask(101, at: "127.0.1.1:9") == DialBackService.unreached)
    let later = Instant.zero + .seconds(60) / Int64(DialBackService.askedPerMinuteOfPrefix)
    #expect(try await ask(102, at: "127.0.0.102:9", later) == DialBackService.unreached)
    #expect(try await ask(103, at: "127.0.0.103:9", later) == DialBackService.Unsaid.askedTooOften.rawValue)
    try await group.shutdownGracefully()
  }
}
