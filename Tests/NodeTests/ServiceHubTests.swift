import Primitives
import Sodium
import Synchronization
import Testing
import Wire

@testable import Node

/// What a hub has sent.
final class Outgoing: Sendable {
  private let messages = Mutex<[ServiceMessage]>([])
  private let stream: AsyncStream<ServiceMessage>
  private let continuation: AsyncStream<ServiceMessage>.Continuation

  init() { (stream, continuation) = AsyncStream.makeStream() }

  func add(_ message: ServiceMessage) {
    messages.withLock { $0.append(message) }
    continuation.yield(message)
  }

  /// The next message, waiting for it.
  func next() async -> ServiceMessage? { await stream.first { _ in true } }
}

func nodeID(_ number: UInt8) throws -> NodeID { try SigningKey(seed: [UInt8](repeating: number, count: 32)).id }

@Suite struct ServiceHubTests {
  @Test func anAnswerReachesWhoAsked() async throws {
    let out = Outgoing()
    let peer = try nodeID(1)
    let hub = ServiceHub(
      send: { message, _ in
        out.add(message)
        return true
      }, answer: { _, _, _ in nil })
    async let answer = hub.ask(.log, [1, 2], of: peer, timeoutSeconds: 60)
    let question = try #require(await out.next())
    #expect(!question.isAnswer && question.service == PeerService.log.rawValue && question.body == [1, 2])
    hub.receive(
      ServiceMessage(number: question.number, isAnswer: true, service: question.service, body: [3]), from: peer)
    #expect(try await answer == [3])
  }

  @Test func onlyTheAnswerOfWhoWasAskedCounts() async throws {
    let out = Outgoing()
    let peer = try nodeID(1)
    let hub = ServiceHub(
      send: { message, _ in
        out.add(message)
        return true
      }, answer: { _, _, _ in nil })
    async let answer = hub.ask(.log, [], of: peer, timeoutSeconds: 60)
    let number = try #require(await out.next()).number
    let log = PeerService.log.rawValue
    hub.receive(ServiceMessage(number: number, isAnswer: true, service: log, body: [9]), from: try nodeID(2))
    hub.receive(ServiceMessage(number: number + 1, isAnswer: true, service: log, body: [9]), from: peer)
    let blob = PeerService.blob.rawValue
    hub.receive(ServiceMessage(number: number, isAnswer: true, service: blob, body: [9]), from: peer)
    #expect(hub.counters.all.first { $0.0 == "service.unexpectedAnswer" }?.1 == 3)
    hub.receive(ServiceMessage(number: number, isAnswer: true, service: log, body: [4]), from: peer)
    #expect(try await answer == [4])
    // A second answer has nobody.
    hub.receive(ServiceMessage(number: number, isAnswer: true, service: log, body: [5]), from: peer)
    #expect(hub.counters.all.first { $0.0 == "service.unexpectedAnswer" }?.1 == 4)
  }

  @Test func noLinkNoAnswerAndALinkThatEnds() async throws {
    let out = Outgoing()
    let peer = try nodeID(1)
    let deaf = ServiceHub(send: { _, _ in false }, answer: { _, _, _ in nil })
    await #expect(throws: ServiceFailure.self) { try await deaf.ask(.log, [], of: peer, timeoutSeconds: 60) }
    let hub = ServiceHub(
      send: { message, _ in
        out.add(message)
        return true
      }, answer: { _, _, _ in nil })
    await #expect(throws: ServiceFailure.self) { try await hub.ask(.log, [], of: peer, timeoutSeconds: 0) }
    _ = await out.next()
    let question = Task { try await hub.ask(.blob, [], of: peer, timeoutSeconds: 60) }
    _ = await out.next()
    hub.linkDown(peer)
    await #expect(throws: ServiceFailure.self) { try await question.value }
    let cancelled = Task { try await hub.ask(.blob, [], of: peer, timeoutSeconds: 60) }
    _ = await out.next()
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
  }

  @Test func questionsOfPeersAreAnsweredAndBounded() async throws {
    let out = Outgoing()
    let peer = try nodeID(1)
    let (gate, open) = AsyncStream<Void>.makeStream()
    let hub = ServiceHub(
      send: { message, _ in
        out.add(message)
        return true
      },
      answer: { _, body, _ in
        for await _ in gate { break }
        return body.isEmpty ? nil : body.reversed()
      })
    let excess = 3
    for number in 1...UInt64(ServiceHub.maximumWorkOfPeer + excess) {
      hub.receive(ServiceMessage(number: number, isAnswer: false, service: 1, body: [1, 2]), from: peer)
    }
    hub.receive(ServiceMessage(number: 0, isAnswer: false, service: 77, body: []), from: peer)
    #expect(hub.counters.all.first { $0.0 == "service.busy" }?.1 == UInt64(excess))
    #expect(hub.counters.all.first { $0.0 == "service.unknown" }?.1 == 1)
    // Another peer has room.
    hub.receive(ServiceMessage(number: 5, isAnswer: false, service: 2, body: [7]), from: try nodeID(2))
    open.finish()
    var answers: [ServiceMessage] = []
    for _ in 0...ServiceHub.maximumWorkOfPeer { answers.append(try #require(await out.next())) }
    #expect(answers.allSatisfy { $0.isAnswer })
    #expect(answers.filter { $0.body == [2, 1] }.count == ServiceHub.maximumWorkOfPeer)
    #expect(answers.contains { $0.number == 5 && $0.body == [7] })
  }

  @Test func whoAsksFarMoreThanIsAnsweredFloods() async throws {
    let floods = Mutex<[NodeID]>([])
    let (gate, open) = AsyncStream<Void>.makeStream()
    let hub = ServiceHub(
      send: { _, _ in true },
      answer: { _, _, _ in
        for await _ in gate { break }
        return nil
      },
      flooded: { peer in floods.withLock { $0.append(peer) } })
    func ask(_ count: Int, _ peer: NodeID) {
      for number in 0..<count {
        hub.receive(ServiceMessage(number: UInt64(number), isAnswer: false, service: 1, body: []), from: peer)
      }
    }
    let (greedy, flooder) = (try nodeID(1), try nodeID(2))
    ask(ServiceHub.maximumWorkOfPeer + ServiceHub.refusedOfFlood - 1, greedy)
    ask(ServiceHub.maximumWorkOfPeer + 2 * ServiceHub.refusedOfFlood, flooder)
    #expect(floods.withLock { $0 } == [flooder, flooder])
    open.finish()
  }
}
