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

// What is waited for below comes in milliseconds or never.
@Suite(.timeLimit(.minutes(1))) struct ServiceHubTests {
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
    let dealt = Mutex<[UInt64]>([])
    for number in 1...UInt64(ServiceHub.maximumWorkOfPeer + excess) {
      hub.receive(ServiceMessage(number: number, isAnswer: false, service: 1, body: [1, 2]), from: peer) {
        dealt.withLock { $0.append(number) }
      }
    }
    hub.receive(ServiceMessage(number: 0, isAnswer: false, service: 77, body: []), from: peer) {
      dealt.withLock { $0.append(0) }
    }
    // What is refused is dealt with, and what is worked on is not.
    #expect(dealt.withLock { $0 } == [13, 14, 15, 0] && ServiceHub.maximumWorkOfPeer == 12)
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
    while dealt.withLock({ $0.count }) < 16 { try await Task.sleep(for: .milliseconds(2)) }
    #expect(Set(dealt.withLock { $0 }) == Set(0...15))
  }

  // An honest node never asks as much of a peer at once as that works on.
  @Test func ownQuestionsToOnePeerWaitForEachOther() async throws {
    let out = Outgoing()
    let (peer, other) = (try nodeID(1), try nodeID(2))
    let isLinked = Mutex(true)
    let hub = ServiceHub(
      send: { message, _ in
        guard isLinked.withLock({ $0 }) else { return false }
        out.add(message)
        return true
      }, answer: { _, _, _ in nil })
    let most = ServiceHub.maximumUnderWay(.blob)
    #expect(most + ServiceHub.maximumUnderWay(.log) < ServiceHub.maximumWorkOfPeer)
    let all = most + 3
    let asked = (0..<all).map { number in
      Task { try await hub.ask(.blob, [UInt8(number)], of: peer, timeoutSeconds: 60) }
    }
    var sent: [ServiceMessage] = []
    for _ in 0..<most { sent.append(try #require(await out.next())) }
    // Questions to another peer, and others to this one, don't wait: and so nothing more of the first was sent.
    while hub.questionCount < all { try await Task.sleep(for: .milliseconds(2)) }
    let elsewhere = Task { try await hub.ask(.log, [], of: other, timeoutSeconds: 60) }
    #expect(try #require(await out.next()).service == PeerService.log.rawValue)
    let beside = Task { try await hub.ask(.connect, [], of: peer, timeoutSeconds: 60) }
    #expect(try #require(await out.next()).service == PeerService.connect.rawValue)
    // For each that ends one is sent, whether it was answered or given up; one that was not sent makes no room.
    let last = try #require(asked.indices.first { index in !sent.contains { $0.body == [UInt8(index)] } })
    asked[last].cancel()
    await #expect(throws: CancellationError.self) { try await asked[last].value }
    hub.receive(ServiceMessage(number: sent[0].number, isAnswer: true, service: 1, body: [3]), from: peer)
    let next = try #require(await out.next())
    #expect(next.service == PeerService.blob.rawValue && !sent.contains { $0.number == next.number })
    // Without a link the rest ends with it.
    isLinked.withLock { $0 = false }
    hub.linkDown(peer)
    hub.linkDown(other)
    var answers = 0
    for task in asked where (try? await task.value) == [3] { answers += 1 }
    #expect(answers == 1 && hub.questionCount == 0)
    await #expect(throws: ServiceFailure.self) { try await elsewhere.value }
    await #expect(throws: ServiceFailure.self) { try await beside.value }
  }

  @Test func whoTakesNoAnswersGetsNone() async throws {
    let out = Outgoing()
    let (peer, other) = (try nodeID(1), try nodeID(2))
    let hub = ServiceHub(
      send: { message, _ in
        out.add(message)
        return true
      }, answer: { _, body, _ in body })
    func ask(_ number: UInt64, _ peer: NodeID) {
      hub.receive(ServiceMessage(number: number, isAnswer: false, service: 1, body: []), from: peer)
    }
    hub.congested(peer, true)
    ask(1, peer)
    ask(2, other)
    #expect(try #require(await out.next()).number == 2)
    #expect(hub.counters.all.first { $0.0 == "service.congested" }?.1 == 1)
    hub.congested(peer, false)
    ask(3, peer)
    #expect(try #require(await out.next()).number == 3)
    // Another link begins with nothing.
    hub.congested(peer, true)
    hub.linkDown(peer)
    ask(4, peer)
    #expect(try #require(await out.next()).number == 4)
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

  @Test func whatIsOfNoUseIsAFloodWhenItIsMuch() throws {
    let floods = Mutex<[NodeID]>([])
    let hub = ServiceHub(
      send: { _, _ in true }, answer: { _, _, _ in nil }, flooded: { peer in floods.withLock { $0.append(peer) } })
    func send(_ count: Int, isAnswer: Bool, _ peer: NodeID) {
      for _ in 0..<count {
        hub.receive(ServiceMessage(number: 9, isAnswer: isAnswer, service: 77, body: []), from: peer)
      }
    }
    let (late, flooder) = (try nodeID(1), try nodeID(2))
    send(ServiceHub.refusedOfFlood - 1, isAnswer: true, late)
    send(ServiceHub.refusedOfFlood, isAnswer: true, flooder)
    send(ServiceHub.refusedOfFlood, isAnswer: false, flooder)
    #expect(floods.withLock { $0 } == [flooder, flooder])
    hub.linkDown(late)
    send(1, isAnswer: true, late)
    #expect(floods.withLock { $0 }.count == 2)
  }
}
