import Foundation
import Primitives
import Synchronization
import Wire

/// The services that nodes ask of each other over links, by their numbers (docs/wire-format.md).
enum PeerService: UInt8, Sendable {
  /// Chunks of a blob: `BlobRequest`, answered by `BlobChunk`s; an empty answer says that the blob is not here.
  case blob = 1
  /// A part of a job's output stream: `LogRequest`, answered by `LogAnswer`.
  case log = 2
  /// A part of the genesis: `GenesisRequest`, answered by `GenesisAnswer`.
  case genesis = 3
  /// Whether the asker can be dialled from outside: `DialBackRequest`, answered by `DialBackAnswer`.
  case dialBack = 4
  /// Have a node dial the asker, who can't dial it: `ConnectRequest`, answered by `ConnectAnswer`.
  case connect = 5
}

/// Why a question to a peer has no answer.
enum ServiceFailure: Error, Sendable, CustomStringConvertible {
  case noLink(NodeID)
  case timedOut(NodeID)
  case tooManyQuestions

  var description: String {
    switch self {
    case .noLink(let peer): "there is no link to \(peer.short)"
    case .timedOut(let peer): "\(peer.short) did not answer in time"
    case .tooManyQuestions: "too many questions to peers are under way"
    }
  }
}

/// Questions and answers between the services of two nodes, by the rules:
///
/// 1. Of one peer a few questions are worked on at once, and fewer of the own are under way to one peer, those about blobs
///    and all others apart, so that a fetch keeps no log waiting; the rest waits here until one of them has ended. What a
///    peer asks beyond that is refused and counted.
/// 2. A question counts as dealt with when its answer was handed to the link: who asks without end has its channel filled,
///    and is sent no room for more.
/// 3. Who takes no answers gets none: while much waits to be sent to a peer, its questions are refused and counted.
final class ServiceHub: Sendable {
  /// The most own questions under way or waiting to be.
  private static let maximumQuestions = 1_024
  /// The most questions of peers that wait or are worked on; over it they are dropped and counted.
  static let maximumWork = 1_024

  /// The most of one peer, so that none takes all. As answers they are three quarters of what makes a channel congested.
  /// More than a peer has under way here: what it gave up after a while may still be worked on.
  static let maximumWorkOfPeer = 12
  /// The most own questions to one peer under way: two fetches, each with a few questions, and some of all else.
  static func maximumUnderWay(_ service: PeerService) -> Int { service == .blob ? 6 : 4 }
  /// A peer that has as many at work and asks so often beyond them floods. An honest one asks only in place of what timed out.
  static let refusedOfFlood = 384
  /// The most peers of whom it is remembered how much was of no use; no fewer than there can be links.
  private static let maximumUseless = 4_096

  private struct Question {
    var peer: NodeID
    var service: PeerService
    var continuation: CheckedContinuation<[UInt8], any Error>
    var timer: Task<Void, Never>?
  }

  /// Who shares a line: questions about blobs to one peer, or all others to it.
  private struct LineID: Hashable {
    var peer: NodeID
    var isBlob: Bool

    init(_ peer: NodeID, _ service: PeerService) {
      self.peer = peer
      isBlob = service == .blob
    }
  }

  /// The own questions to one peer: those that were sent, and those that wait for one of these to end.
  private struct Line {
    var underWay: Set<UInt64> = []
    var waiting: [ServiceMessage] = []

    /// True when it is to be sent now.
    mutating func enter(_ message: ServiceMessage, limit: Int) -> Bool {
      guard underWay.count < limit else {
        waiting.append(message)
        return false
      }
      underWay.insert(message.number)
      return true
    }

    /// The question that is to be sent in place of one that has ended.
    mutating func leave(_ number: UInt64) -> ServiceMessage? {
      guard underWay.remove(number) != nil else {
        waiting.removeAll { $0.number == number }
        return nil
      }
      guard !waiting.isEmpty else { return nil }
      let next = waiting.removeFirst()
      underWay.insert(next.number)
      return next
    }
  }

  private struct State {
    var nextNumber: UInt64 = 1
    var waiting: [UInt64: Question] = [:]
    /// Some under way, for each entry.
    var lines: [LineID: Line] = [:]
    var work = 0
    var workOf: [NodeID: Int] = [:]
    /// Rule 3. Of peers that are linked.
    var congested: Set<NodeID> = []
    /// What was refused to those that have too much at work, since they were charged for it or had less.
    var refusedOf: [NodeID: Int] = [:]
    /// What no service understands, and answers to nothing, of linked peers since they were charged for it. Answers that come
    /// late are such, and are few.
    var uselessOf = BoundedMap<NodeID, Int>(capacity: ServiceHub.maximumUseless)
    var counters = Counters()
  }

  private let state = Mutex(State())
  private let send: @Sendable (ServiceMessage, NodeID) -> Bool
  private let answer: @Sendable (PeerService, [UInt8], NodeID) async -> [UInt8]?
  private let flooded: @Sendable (NodeID) -> Void

  /// - Parameters:
  ///   - send: puts a message on the services channel of a link; false without a link.
  ///   - answer: answers a peer's question; nil for one that can't be understood.
  ///   - flooded: a peer asks far more than is answered.
  init(
    send: @escaping @Sendable (ServiceMessage, NodeID) -> Bool,
    answer: @escaping @Sendable (PeerService, [UInt8], NodeID) async -> [UInt8]?,
    flooded: @escaping @Sendable (NodeID) -> Void = { _ in }
  ) {
    self.send = send
    self.answer = answer
    self.flooded = flooded
  }

  /// What was refused.
  var counters: Counters { state.withLock { $0.counters } }

  /// How many own questions are under way or wait to be.
  var questionCount: Int { state.withLock { $0.waiting.count } }

  /// Asks a peer and waits for its answer.
  func ask(_ service: PeerService, _ body: [UInt8], of peer: NodeID, timeoutSeconds: Double) async throws -> [UInt8] {
    let number = state.withLock { state in
      defer { state.nextNumber += 1 }
      return state.nextNumber
    }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let message = ServiceMessage(number: number, isAnswer: false, service: service.rawValue, body: body)
        let isToSend: Bool? = state.withLock { state in
          guard state.waiting.count < ServiceHub.maximumQuestions else { return nil }
          state.waiting[number] = Question(peer: peer, service: service, continuation: continuation)
          return state.lines[LineID(peer, service), default: Line()].enter(
            message, limit: ServiceHub.maximumUnderWay(service))
        }
        guard let isToSend else { return continuation.resume(throwing: ServiceFailure.tooManyQuestions) }
        guard !isToSend || send(message, peer) else {
          return finish(number, .failure(ServiceFailure.noLink(peer)))
        }
        let timer = Task {
          do { try await Task.sleep(for: .seconds(timeoutSeconds)) } catch { return }
          finish(number, .failure(ServiceFailure.timedOut(peer)))
        }
        // The answer may have come already: nobody would end the timer then.
        let isOpen = state.withLock { state in
          state.waiting[number]?.timer = timer
          return state.waiting[number] != nil
        }
        if !isOpen { timer.cancel() }
        if Task.isCancelled { finish(number, .failure(CancellationError())) }
      }
    } onCancel: {
      finish(number, .failure(CancellationError()))
    }
  }

  /// Takes a message that a peer sent.
  ///
  /// - Parameter dealt: called once it has been dealt with (rule 2).
  func receive(_ message: ServiceMessage, from peer: NodeID, dealt: @escaping @Sendable () -> Void = {}) {
    guard !take(message, from: peer, dealt) else { return }
    dealt()
  }

  /// False when it has been dealt with.
  private func take(_ message: ServiceMessage, from peer: NodeID, _ dealt: @escaping @Sendable () -> Void) -> Bool {
    if message.isAnswer {
      let isExpected = state.withLock { state in
        guard let question = state.waiting[message.number] else { return false }
        return question.peer == peer && question.service.rawValue == message.service
      }
      guard isExpected else {
        useless("service.unexpectedAnswer", of: peer)
        return false
      }
      finish(message.number, .success(message.body))
      return false
    }
    guard let service = PeerService(rawValue: message.service) else {
      useless("service.unknown", of: peer)
      return false
    }
    let mayWork = state.withLock { state in
      guard !state.congested.contains(peer) else { return false }
      let ofPeer = state.workOf[peer, default: 0]
      guard state.work < ServiceHub.maximumWork, ofPeer < ServiceHub.maximumWorkOfPeer else { return false }
      state.work += 1
      state.workOf[peer] = ofPeer + 1
      return true
    }
    guard mayWork else {
      refuse(peer)
      return false
    }
    Task {
      let body = await answer(service, message.body, peer)
      // Before the answer goes: it makes room for the next question, which may be here at once.
      state.withLock { state in
        state.work -= 1
        let left = state.workOf[peer, default: 1] - 1
        state.workOf[peer] = left > 0 ? left : nil
        if left <= ServiceHub.maximumWorkOfPeer / 2 { state.refusedOf[peer] = nil }
      }
      if let body {
        _ = send(
          ServiceMessage(number: message.number, isAnswer: true, service: message.service, body: body), peer)
      } else {
        useless("service.malformed", of: peer)
      }
      dealt()
    }
    return true
  }

  /// Much waits to be sent to a peer on the services channel, or no longer.
  func congested(_ peer: NodeID, _ isCongested: Bool) {
    state.withLock { state in
      if isCongested { state.congested.insert(peer) } else { state.congested.remove(peer) }
    }
  }

  private func useless(_ name: String, of peer: NodeID) {
    let isFlood = state.withLock { state in
      state.counters.add(name)
      let count = (state.uselessOf[peer] ?? 0) + 1
      state.uselessOf.insert(count % ServiceHub.refusedOfFlood, forKey: peer)
      return count == ServiceHub.refusedOfFlood
    }
    if isFlood { flooded(peer) }
  }

  private func refuse(_ peer: NodeID) {
    let isFlood = state.withLock { state in
      guard !state.congested.contains(peer) else {
        state.counters.add("service.congested")
        return false
      }
      state.counters.add("service.busy")
      guard state.workOf[peer, default: 0] >= ServiceHub.maximumWorkOfPeer else { return false }
      let refused = state.refusedOf[peer, default: 0] + 1
      state.refusedOf[peer] = refused % ServiceHub.refusedOfFlood
      return refused == ServiceHub.refusedOfFlood
    }
    if isFlood { flooded(peer) }
  }

  /// Ends all questions to a peer whose link is gone.
  func linkDown(_ peer: NodeID) {
    let numbers = state.withLock { state in
      state.congested.remove(peer)
      state.uselessOf.removeValue(forKey: peer)
      return state.waiting.filter { $0.value.peer == peer }.map(\.key)
    }
    for number in numbers { finish(number, .failure(ServiceFailure.noLink(peer))) }
  }

  private func finish(_ number: UInt64, _ result: Result<[UInt8], any Error>) {
    var ended: (number: UInt64, result: Result<[UInt8], any Error>)? = (number, result)
    while let (number, result) = ended.take() {
      let (entry, next) = state.withLock { state -> (Question?, ServiceMessage?) in
        guard let entry = state.waiting.removeValue(forKey: number) else { return (nil, nil) }
        let line = LineID(entry.peer, entry.service)
        let next = state.lines[line]?.leave(number)
        if state.lines[line]?.underWay.isEmpty == true { state.lines[line] = nil }
        return (entry, next)
      }
      guard let entry else { return }
      entry.timer?.cancel()
      entry.continuation.resume(with: result)
      if let next, !send(next, entry.peer) { ended = (next.number, .failure(ServiceFailure.noLink(entry.peer))) }
    }
  }
}
