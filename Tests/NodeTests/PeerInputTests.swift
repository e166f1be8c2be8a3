import Core
import LinkProtocol
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Testing
import Transport
import Wire

@testable import Node

@Suite struct LogServiceTests {
  @Test func whatIsWrittenIsRead() throws {
    for isError in [false, true] {
      let request = LogRequest(lease: Digest(hashing: [1]), isError: isError, offset: .max)
      #expect(try LogRequest(decoding: request.encoded) == request)
    }
    for count in [0, 1, LogAnswer.maximumBytes] {
      let answer = LogAnswer(
        bytes: [UInt8](repeating: 7, count: count), nextOffset: UInt64(count), isComplete: count == 1)
      #expect(try LogAnswer(decoding: answer.encoded) == answer)
    }
  }

  @Test func whatIsNotOneIsRefused() throws {
    let request = LogRequest(lease: Digest(hashing: [1]), isError: true, offset: 300).encoded
    for count in 0..<request.count {
      #expect(throws: WireError.self) { try LogRequest(decoding: Array(request[..<count])) }
    }
    #expect(throws: WireError.self) { try LogRequest(decoding: request + [0]) }
    var wrong = request
    wrong[32] = 2
    #expect(throws: WireError.self) { try LogRequest(decoding: wrong) }
    let long = LogAnswer(
      bytes: [UInt8](repeating: 7, count: LogAnswer.maximumBytes + 1), nextOffset: 0, isComplete: false)
    #expect(throws: WireError.self) { try LogAnswer(decoding: long.encoded) }
    #expect(throws: WireError.self) { try LogAnswer(decoding: []) }
  }
}

@Suite struct InboundPipelineTests {
  private let network = Digest(hashing: Array("a network".utf8))

  private func pipeline(
    isValidator: @escaping @Sendable (NodeID) -> Bool = { _ in true },
    post: @escaping @Sendable ([CoreInput], @escaping @Sendable () -> Void) -> Void = { $1() },
    service: @escaping @Sendable (ServiceMessage, NodeID, @escaping @Sendable () -> Void) -> Void = { $2() },
    judged: @escaping @Sendable (ReceivedDatagram, Bool) -> Void = { _, _ in },
    answered: @escaping @Sendable (NodeID, PeerAddress) -> Void = { _, _ in },
    consumed: @escaping @Sendable (Int, LinkChannel, NodeID) -> Void = { _, _, _ in }
  ) throws -> InboundPipeline {
    let inbound = Inbound(
      verifier: Verifier(networkID: network) { Sodium.verify($0, of: $1, by: $2) },
      validators: KnownValidators(try LoneValidator().genesis.validatorSet))
    return InboundPipeline(
      inbound, workers: 2, background: Array(MultiThreadedEventLoopGroup.singleton.makeIterator().prefix(2)),
      isValidator: isValidator, post: post, service: service, judged: judged, answered: answered,
      consumed: consumed)
  }

  @Test func garbageIsCountedAndItsSenderNamed() async throws {
    let (inputs, continuation) = AsyncStream<CoreInput>.makeStream()
    let pipeline = try pipeline(post: { inputs, done in
      for input in inputs { continuation.yield(input) }
      done()
    })
    let peer = try nodeID(1)
    for _ in 0..<5 { pipeline.frame([0xff, 1, 2], channel: .broadcast, from: peer) }
    var named = 0
    for await input in inputs {
      guard case .misconduct(let from, .badFrame) = input, from == peer else {
        Issue.record("\(input)")
        break
      }
      named += 1
      if named == 5 { break }
    }
    #expect(pipeline.counters.all.reduce(0) { $0 + $1.1 } == 5)
  }

  private func received(
    _ payload: [UInt8], from source: PeerAddress, isKnown: Bool = false
  ) throws -> ReceivedDatagram {
    let mac = try #require(DatagramMAC(bytes: [UInt8](repeating: 1, count: DatagramMAC.byteCount)))
    return ReceivedDatagram(
      AdmittedDatagram(payload: payload, mac: mac, isProven: false, isKnown: isKnown), from: source)
  }

  private func probe(_ body: (PeerAddress) throws -> MessageBody, from source: PeerAddress) throws -> [UInt8] {
    let key = try SigningKey(seed: [UInt8](repeating: 3, count: 32))
    let signer = Signer(id: key.id, networkID: network) { key.sign($0) }
    return signer.seal(try body(source), sequence: 1).value.envelope.encoded
  }

  @Test func ofEachDatagramTheEndpointIsToldWhetherItIsSound() async throws {
    let (verdicts, continuation) = AsyncStream<([UInt8], Bool)>.makeStream()
    let pipeline = try pipeline(judged: { continuation.yield(($0.payload, $1)) })
    let source = try #require(PeerAddress(text: "127.0.0.1:1000"))
    let good = try probe(
      { .ping(Ping(receiver: try nodeID(1), number: 1, height: 0, observed: $0, rumours: [])) }, from: source)
    var forged = good
    // Within the signature, which is at the end.
    forged[forged.count - 40] ^= 1
    let record = try probe(
      {
        .nodeRecord(
          NodeRecord(
            name: "n", addresses: [$0], roles: [], capabilities: network, agent: "a", expiresUnixSeconds: 1))
      }, from: source)
    for isKnown in [false, true] {
      for bytes in [good, forged, [1, 2, 3], record] {
        pipeline.datagram(try received(bytes, from: source, isKnown: isKnown))
      }
      var seen: [([UInt8], Bool)] = []
      for await verdict in verdicts {
        seen.append(verdict)
        if seen.count == 4 { break }
      }
      #expect(seen.map(\.0) == [good, forged, [1, 2, 3], record])
      #expect(seen.map(\.1) == [true, false, false, false])
    }
  }

  @Test func anAnswerIsToldWhenTheCoreHasHandledIt() async throws {
    let (answers, continuation) = AsyncStream<(NodeID, PeerAddress)>.makeStream()
    let (handed, handing) = AsyncStream<@Sendable () -> Void>.makeStream()
    let pipeline = try pipeline(post: { handing.yield($1) }, answered: { continuation.yield(($0, $1)) })
    let source = try #require(PeerAddress(text: "127.0.0.1:1000"))
    let ping = try probe(
      { .ping(Ping(receiver: try nodeID(1), number: 1, height: 0, observed: $0, rumours: [])) }, from: source)
    let ack = try probe(
      { .ack(Ack(receiver: try nodeID(1), number: 1, height: 0, observed: $0, rumours: [])) }, from: source)
    for bytes in [ping, ack] { pipeline.datagram(try received(bytes, from: source)) }
    var handedCount = 0
    for await done in handed {
      // Nothing was told before: then this would not be the first.
      if handedCount == 1 { continuation.yield((try nodeID(9), source)) }
      done()
      handedCount += 1
      if handedCount == 2 { break }
    }
    var told: [NodeID] = []
    for await (id, address) in answers {
      #expect(address == source)
      told.append(id)
      if told.count == 2 { break }
    }
    #expect(told == [try nodeID(9), try SigningKey(seed: [UInt8](repeating: 3, count: 32)).id])
  }

  @Test func manyDatagramsThatWaitAreALoadAndStrangersHaveTheLesserPart() async throws {
    let undone = Mutex<[@Sendable () -> Void]>([])
    let (verdicts, continuation) = AsyncStream<Void>.makeStream()
    let pipeline = try pipeline(
      post: { _, done in undone.withLock { $0.append(done) } }, judged: { _, _ in continuation.yield() })
    let source = try #require(PeerAddress(text: "127.0.0.1:1000"))
    let ping = try probe(
      { .ping(Ping(receiver: try nodeID(1), number: 1, height: 0, observed: $0, rumours: [])) }, from: source)
    func take(_ count: Int, isKnown: Bool) async throws {
      let datagram = try received(ping, from: source, isKnown: isKnown)
      for _ in 0..<count { pipeline.datagram(datagram) }
    }
    var iterator = verdicts.makeAsyncIterator()
    // A core that is stuck counts as load, too: nothing is done until it has handled it.
    try await take(InboundPipeline.loadedDatagrams, isKnown: true)
    for _ in 0..<InboundPipeline.loadedDatagrams { await iterator.next() }
    #expect(!pipeline.isUnderLoad)
    try await take(1, isKnown: false)
    #expect(pipeline.isUnderLoad)
    try await take(InboundPipeline.maximumStrangers + 4, isKnown: false)
    #expect(pipeline.counters.all.first { $0.0 == "verifyQueueFull" }?.1 == 5)
    // Their full lane is not a member's.
    try await take(1, isKnown: true)
    #expect(pipeline.counters.all.first { $0.0 == "verifyQueueFull" }?.1 == 5)
    for _ in 0..<(InboundPipeline.maximumStrangers + 1) { await iterator.next() }
    await pipeline.stop()
    for done in undone.withLock({ $0 }) { done() }
    #expect(!pipeline.isUnderLoad)
  }

  @Test func ofBeaconsOnlySignedRecordsAreHeard() async throws {
    let (records, continuation) = AsyncStream<Verified<Message>>.makeStream()
    let pipeline = try pipeline(post: { inputs, _ in Issue.record("the core was told: \(inputs)") })
    let source = try #require(PeerAddress(text: "10.0.0.1:7448"))
    let record = try probe(
      {
        .nodeRecord(
          NodeRecord(
            name: "n", addresses: [$0], roles: [], capabilities: network, agent: "a", expiresUnixSeconds: 1))
      }, from: source)
    let ping = try probe(
      { .ping(Ping(receiver: try nodeID(1), number: 1, height: 0, observed: $0, rumours: [])) }, from: source)
    var forged = record
    forged[forged.count - 40] ^= 1
    for bytes in [[1, 2, 3], ping, forged, record] {
      pipeline.beacon(bytes, from: source) { continuation.yield($0) }
    }
    // All of a source go through one lane: whatever was before would have been heard first.
    let heard = await records.first { _ in true }
    #expect(heard?.value.envelope.encoded == record)
    #expect(pipeline.counters.all.map(\.name).allSatisfy { $0.hasPrefix("beacon.") })
    #expect(pipeline.counters.all.reduce(0) { $0 + $1.count } == 3)
  }

  @Test func aServiceMessageGoesPastTheCore() async throws {
    let (messages, continuation) = AsyncStream<(ServiceMessage, NodeID)>.makeStream()
    let pipeline = try pipeline(
      post: { inputs, _ in Issue.record("the core was told: \(inputs)") },
      service: { message, peer, dealt in
        continuation.yield((message, peer))
        dealt()
      })
    let peer = try nodeID(1)
    let message = ServiceMessage(number: 4, isAnswer: true, service: 1, body: [9])
    pipeline.frame(LinkMessage.service(message).encoded, channel: .services, from: peer)
    let received = await messages.first { _ in true }
    #expect(received?.0.number == 4 && received?.1 == peer)
  }

  @Test func onePeerCannotFillTheMemory() async throws {
    let (served, continuation) = AsyncStream<NodeID>.makeStream()
    let isOpen = Mutex(false)
    // The first message holds its lane up until the flood is over.
    let pipeline = try pipeline(
      service: { _, peer, dealt in
        while !isOpen.withLock({ $0 }) {}
        continuation.yield(peer)
        dealt()
      })
    let peer = try nodeID(1)
    let message = ServiceMessage(number: 4, isAnswer: true, service: 1, body: [UInt8](repeating: 0, count: 512 << 10))
    let bytes = LinkMessage.service(message).encoded
    let fits = InboundPipeline.maximumPeerBytes / (bytes.count + InboundPipeline.overheadBytes)
    for _ in 0..<(fits + 3) { pipeline.frame(bytes, channel: .sync, from: peer) }
    #expect(pipeline.counters.all.first { $0.0 == "verifyPeerTooFast" }?.1 == 3)
    isOpen.withLock { $0 = true }
    var count = 0
    for await _ in served {
      count += 1
      if count == fits { break }
    }
    // There is room again.
    pipeline.frame(bytes, channel: .sync, from: peer)
    #expect(await served.first { _ in true } == peer)
  }

  // Who asks and is not answered has its channel filled, and nobody else's lane.
  @Test func aQuestionGivesCreditWhenItIsAnswered() async throws {
    let (credits, continuation) = AsyncStream<Int>.makeStream()
    let (questions, asked) = AsyncStream<@Sendable () -> Void>.makeStream()
    let credited = Mutex<[Int]>([])
    let pipeline = try pipeline(
      service: { message, _, dealt in
        if message.isAnswer { dealt() } else { asked.yield(dealt) }
      },
      consumed: { byteCount, _, _ in
        credited.withLock { $0.append(byteCount) }
        continuation.yield(byteCount)
      })
    let peer = try nodeID(1)
    func frame(_ body: [UInt8], isAnswer: Bool) -> [UInt8] {
      LinkMessage.service(ServiceMessage(number: 4, isAnswer: isAnswer, service: 1, body: body)).encoded
    }
    let (question, answer) = (frame([9, 9, 9], isAnswer: false), frame([9], isAnswer: true))
    pipeline.frame(question, channel: .services, from: peer)
    let dealt = try #require(await questions.first { _ in true })
    pipeline.frame(answer, channel: .services, from: peer)
    #expect(await credits.first { _ in true } == answer.count)
    #expect(credited.withLock { $0 } == [answer.count])
    dealt()
    #expect(await credits.first { _ in true } == question.count)
  }

  // Whatever becomes of a frame, its sender gets credit for it once, or the link would stall for ever.
  @Test func eachFrameGivesCreditOnceWhenItWasDealtWithOrDropped() async throws {
    let (credits, continuation) = AsyncStream<(byteCount: Int, channel: LinkChannel, id: NodeID)>.makeStream()
    let undone = Mutex<[@Sendable () -> Void]>([])
    let pipeline = try pipeline(
      post: { _, done in undone.withLock { $0.append(done) } }, consumed: { continuation.yield(($0, $1, $2)) })
    var next = credits.makeAsyncIterator()
    let peer = try nodeID(1)
    // For the core; it has not handled it yet.
    let request = LinkMessage.consensus(.chainRequest(fromHeight: 1)).encoded
    pipeline.frame(request, channel: .consensus, from: peer)
    // For a service, and the garbage that nobody takes.
    let message = LinkMessage.service(ServiceMessage(number: 4, isAnswer: true, service: 1, body: [9])).encoded
    pipeline.frame(message, channel: .services, from: peer)
    let service = try #require(await next.next())
    #expect(service == (message.count, .services, peer))
    // Too large for what a validator's votes may take: dropped at once.
    let large = [UInt8](repeating: 0xff, count: InboundPipeline.maximumVoteBytes)
    pipeline.frame(large, channel: .consensus, from: peer)
    let dropped = try #require(await next.next())
    #expect(dropped == (large.count, .consensus, peer))
    while undone.withLock({ $0.isEmpty }) { await Task.yield() }
    for done in undone.withLock({ $0 }) { done() }
    let handled = try #require(await next.next())
    #expect(handled == (request.count, .consensus, peer))
    continuation.finish()
    #expect(await next.next() == nil)
  }

  // So a peer is held back by its windows, and nothing of what it sends within them is dropped.
  @Test func theShareOfAPeerIsMoreThanItsWindows() {
    let links = LinkConfiguration()
    let overhead = links.maximumWaitingFrames * InboundPipeline.overheadBytes
    let windows = [
      links.consensusWindowByteCount, links.broadcastWindowByteCount, links.syncWindowByteCount,
      links.servicesWindowByteCount,
    ].map(Int.init)
    #expect(windows[0] + overhead <= InboundPipeline.maximumVoteBytes)
    #expect(windows.reduce(0, +) + 4 * overhead <= InboundPipeline.maximumPeerBytes)
    #expect(windows[1] + overhead <= InboundPipeline.maximumMembersBytes)
  }

  @Test func whatTheCoreHasNotHandledStillCounts() async throws {
    let (handed, continuation) = AsyncStream<Void>.makeStream()
    let undone = Mutex<[@Sendable () -> Void]>([])
    // A core that is stuck: it takes everything, and comes to nothing.
    let pipeline = try pipeline(post: { _, done in
      undone.withLock { $0.append(done) }
      continuation.yield()
    })
    let peer = try nodeID(1)
    let request = LinkMessage.consensus(.chainRequest(fromHeight: 1)).encoded
    let fits = InboundPipeline.maximumVoteBytes / (request.count + InboundPipeline.overheadBytes)
    for _ in 0..<(fits * 2) { pipeline.frame(request, channel: .consensus, from: peer) }
    #expect(pipeline.counters.all.first { $0.0 == "verifyPeerTooFast" }?.1 == UInt64(fits))
    var handedCount = 0
    for await _ in handed {
      handedCount += 1
      if handedCount == fits { break }
    }
    #expect(undone.withLock { $0.count } == fits)
    // Another peer is not held up by it.
    pipeline.frame(request, channel: .consensus, from: try nodeID(2))
    for await _ in handed { break }
    for done in undone.withLock({ $0 }) { done() }
    pipeline.frame(request, channel: .consensus, from: peer)
    for await _ in handed { break }
    #expect(pipeline.counters.all.first { $0.0 == "verifyPeerTooFast" }?.1 == UInt64(fits))
  }
}

@Suite struct InboundLanesTests {
  /// What a service callback does not return from until it is let.
  private final class Gate: Sendable {
    private let isOpen = Mutex(false)
    func open() { isOpen.withLock { $0 = true } }
    func wait() { while !isOpen.withLock({ $0 }) {} }
  }

  private let message = LinkMessage.service(ServiceMessage(number: 4, isAnswer: true, service: 1, body: [9])).encoded

  private func pipeline(
    isValidator: @escaping @Sendable (NodeID) -> Bool,
    post: @escaping @Sendable ([CoreInput], @escaping @Sendable () -> Void) -> Void = { $1() },
    consumed: @escaping @Sendable (Int, LinkChannel, NodeID) -> Void = { _, _, _ in },
    service: @escaping @Sendable (NodeID) -> Void
  ) throws -> InboundPipeline {
    let genesis = try LoneValidator().genesis
    let inbound = Inbound(
      verifier: Verifier(networkID: genesis.networkID) { Sodium.verify($0, of: $1, by: $2) },
      validators: KnownValidators(genesis.validatorSet))
    return InboundPipeline(
      inbound, workers: 1, background: [MultiThreadedEventLoopGroup.singleton.next()], isValidator: isValidator,
      post: post,
      service: { _, peer, dealt in
        service(peer)
        dealt()
      }, consumed: consumed)
  }

  /// Who cannot refute in time is down: what tables of members say does not wait with the gossip of the same channel.
  @Test func whatATableOfMembersSaysDoesNotWaitBehindGossip() async throws {
    let (told, continuation) = AsyncStream<Void>.makeStream()
    let gate = Gate()
    let pipeline = try pipeline(
      isValidator: { _ in false },
      post: { _, done in
        continuation.yield()
        done()
      }, service: { _ in gate.wait() })
    let peer = try nodeID(1)
    for _ in 0..<3 { pipeline.frame(message, channel: .broadcast, from: peer) }
    pipeline.frame(LinkMessage.members([]).encoded, channel: .broadcast, from: peer)
    for await _ in told { break }
    gate.open()
    await pipeline.stop()
  }

  @Test(arguments: [LinkChannel.consensus, .sync])
  func aStrangerIsNotAheadOfAValidator(channel: LinkChannel) async throws {
    let (served, continuation) = AsyncStream<NodeID>.makeStream()
    let (stranger, validator) = (try nodeID(1), try nodeID(2))
    let gate = Gate()
    let pipeline = try pipeline(isValidator: { $0 == validator }) { peer in
      if peer == stranger { gate.wait() }
      continuation.yield(peer)
    }
    for _ in 0..<3 { pipeline.frame(message, channel: channel, from: stranger) }
    pipeline.frame(message, channel: channel, from: validator)
    var order: [NodeID] = []
    for await peer in served {
      if peer == validator { gate.open() }
      order.append(peer)
      if order.count == 4 { break }
    }
    #expect(order == [validator, stranger, stranger, stranger])
  }

  @Test func whoFillsALaneKeepsNobodyElseOut() async throws {
    let gate = Gate()
    let pipeline = try pipeline(isValidator: { _ in false }) { _ in gate.wait() }
    func refused() -> UInt64 { pipeline.counters.all.first { $0.0 == "verifyQueueFull" }?.1 ?? 0 }
    for _ in 0..<(InboundPipeline.maximumWaiting + 5) {
      pipeline.frame(message, channel: .services, from: try nodeID(1))
    }
    #expect(refused() == 5)
    for other in [2, 3] as [UInt8] {
      for _ in 0..<InboundPipeline.maximumOfFullLane {
        pipeline.frame(message, channel: .services, from: try nodeID(other))
      }
    }
    #expect(refused() == 5)
    pipeline.frame(message, channel: .services, from: try nodeID(2))
    #expect(refused() == 6)
    gate.open()
    await pipeline.stop()
  }

  @Test func whatWaitsOfWhoIsBannedComesToNothing() async throws {
    let (served, continuation) = AsyncStream<NodeID>.makeStream()
    let gate = Gate()
    let credits = Mutex(0)
    let pipeline = try pipeline(
      isValidator: { _ in false }, consumed: { _, _, _ in credits.withLock { $0 += 1 } },
      service: { peer in
        continuation.yield(peer)
        gate.wait()
      })
    let (banned, other) = (try nodeID(1), try nodeID(2))
    for peer in [banned, banned, banned, other] { pipeline.frame(message, channel: .services, from: peer) }
    var next = served.makeAsyncIterator()
    #expect(await next.next() == banned)
    pipeline.closed(banned)
    gate.open()
    #expect(await next.next() == other)
    #expect(pipeline.counters.all.first { $0.0 == "verifyAfterBan" }?.1 == 2)
    // A ban ends.
    pipeline.frame(message, channel: .services, from: banned)
    #expect(await next.next() == banned)
    await pipeline.stop()
    #expect(credits.withLock { $0 } == 5)
  }

  @Test func afterAStopNothingIsHandedOn() async throws {
    let (begun, continuation) = AsyncStream<Void>.makeStream()
    let gate = Gate()
    let handed = Mutex(0)
    let pipeline = try pipeline(isValidator: { _ in true }) { _ in
      continuation.yield()
      gate.wait()
      handed.withLock { $0 += 1 }
    }
    for _ in 0..<3 { pipeline.frame(message, channel: .sync, from: try nodeID(1)) }
    for await _ in begun { break }
    async let stopped: Void = pipeline.stop()
    pipeline.frame(message, channel: .sync, from: try nodeID(1))
    // What is under way ends before `stop` returns; what waits, or comes later, comes to nothing.
    gate.open()
    await stopped
    let count = handed.withLock { $0 }
    #expect((1...4).contains(count))
    pipeline.frame(message, channel: .sync, from: try nodeID(1))
    await pipeline.stop()
    #expect(handed.withLock { $0 } == count)
  }
}

@Suite struct VerificationCacheTests {
  @Test func theLatestHalfIsRememberedAndNoMoreThanAll() {
    var memory = VerificationCache.Memory(capacity: 8)
    let ids = (0..<20).map { Digest(hashing: [UInt8($0)]) }
    for (count, id) in ids.enumerated() {
      #expect(!memory.contains(id))
      memory.insert(id)
      for latest in ids[max(0, count - 3)...count] { #expect(memory.contains(latest)) }
      #expect(ids.count { memory.contains($0) } <= 8)
    }
  }

  @Test func onlyWhatFitsIsRemembered() throws {
    let cache = VerificationCache()
    let key = try SigningKey(seed: [UInt8](repeating: 3, count: 32))
    let signature = key.sign([1, 2])
    for _ in 0..<2 {
      #expect(cache.check(signature, [1, 2], key.id))
      #expect(!cache.check(signature, [1, 3], key.id))
      #expect(!cache.check(signature, [1, 2], try nodeID(4)))
      #expect(!cache.check(.zero, [1, 2], key.id))
    }
  }
}
