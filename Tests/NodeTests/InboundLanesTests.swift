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

@Suite struct InboundLanesTests {
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
      inbound, workers: 1, background: background(1), isValidator: isValidator,
      post: post,
      service: { _, peer, dealt in
        service(peer)
        dealt()
      }, consumed: consumed)
  }

  /// Who cannot refute in time is down: what tables of members say does not wait with the gossip of the same channel.
  @Test func whatATableOfMembersSaysDoesNotWaitBehindGossip() async throws {
    let (told, continuation) = AsyncStream<Void>.makeStream()
    let door = Door()
    let pipeline = try pipeline(
      isValidator: { _ in false },
      post: { _, done in
        continuation.yield()
        done()
      }, service: { _ in door.pass() })
    let peer = try nodeID(1)
    for _ in 0..<3 { pipeline.frame(message, channel: .broadcast, from: peer) }
    pipeline.frame(LinkMessage.members([]).encoded, channel: .broadcast, from: peer)
    for await _ in told { break }
    door.open()
    await pipeline.stop()
  }

  @Test(arguments: [LinkChannel.consensus, .sync])
  func aStrangerIsNotAheadOfAValidator(channel: LinkChannel) async throws {
    let (served, continuation) = AsyncStream<NodeID>.makeStream()
    let (stranger, validator) = (try nodeID(1), try nodeID(2))
    let door = Door()
    let pipeline = try pipeline(isValidator: { $0 == validator }) { peer in
      if peer == stranger { door.pass() }
      continuation.yield(peer)
    }
    for _ in 0..<3 { pipeline.frame(message, channel: channel, from: stranger) }
    pipeline.frame(message, channel: channel, from: validator)
    var order: [NodeID] = []
    for await peer in served {
      if peer == validator { door.open() }
      order.append(peer)
      if order.count == 4 { break }
    }
    #expect(order == [validator, stranger, stranger, stranger])
  }

  @Test func whoFillsALaneKeepsNobodyElseOut() async throws {
    let door = Door()
    let pipeline = try pipeline(isValidator: { _ in false }) { _ in door.pass() }
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
    door.open()
    await pipeline.stop()
  }

  @Test func whatWaitsOfWhoIsBannedComesToNothing() async throws {
    let (served, continuation) = AsyncStream<NodeID>.makeStream()
    let door = Door()
    let credits = Mutex(0)
    let pipeline = try pipeline(
      isValidator: { _ in false }, consumed: { _, _, _ in credits.withLock { $0 += 1 } },
      service: { peer in
        continuation.yield(peer)
        door.pass()
      })
    let (banned, other) = (try nodeID(1), try nodeID(2))
    for peer in [banned, banned, banned, other] { pipeline.frame(message, channel: .services, from: peer) }
    var next = served.makeAsyncIterator()
    #expect(await next.next() == banned)
    pipeline.closed(banned)
    door.open()
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
    let door = Door()
    let handed = Mutex(0)
    let pipeline = try pipeline(isValidator: { _ in true }) { _ in
      continuation.yield()
      door.pass()
      handed.withLock { $0 += 1 }
    }
    for _ in 0..<3 { pipeline.frame(message, channel: .sync, from: try nodeID(1)) }
    for await _ in begun { break }
    async let stopped: Void = pipeline.stop()
    pipeline.frame(message, channel: .sync, from: try nodeID(1))
    // What is under way ends before `stop` returns; what waits, or comes later, comes to nothing.
    door.open()
    await stopped
    let count = handed.withLock { $0 }
    #expect((1...4).contains(count))
    pipeline.frame(message, channel: .sync, from: try nodeID(1))
    await pipeline.stop()
    #expect(handed.withLock { $0 } == count)
  }
}
