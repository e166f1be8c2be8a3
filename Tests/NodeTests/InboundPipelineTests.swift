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
      inbound, workers: 2, background: background(2),
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
    let door = Door()
    // The first message holds its lane up until the flood is over.
    let pipeline = try pipeline(
      service: { _, peer, dealt in
        door.pass()
        continuation.yield(peer)
        dealt()
      })
    let peer = try nodeID(1)
    let message = ServiceMessage(number: 4, isAnswer: true, service: 1, body: [UInt8](repeating: 0, count: 512 << 10))
    let bytes = LinkMessage.service(message).encoded
    let fits = InboundPipeline.maximumPeerBytes / (bytes.count + InboundPipeline.overheadBytes)
    for _ in 0..<(fits + 3) { pipeline.frame(bytes, channel: .sync, from: peer) }
    #expect(pipeline.counters.all.first { $0.0 == "verifyPeerTooFast" }?.1 == 3)
    door.open()
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
