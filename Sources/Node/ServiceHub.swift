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

/// Questions and answers between the services of two nodes.
final class ServiceHub: Sendable {
  /// The most own questions under way.
  private static let maximumQuestions = 1_024
  /// The most questions of peers that wait or are worked on; over it they are dropped and counted.
  static let maximumWork = 1_024

  /// The most of one peer, so that none takes all: several fetches, each with a few questions.
  static let maximumWorkOfPeer = 128
  /// A peer that has as many at work and asks so often beyond them floods. An honest one that has all its `maximumQuestions`
  /// under way here gets there at once, and not again before they have timed out.
  static let refusedOfFlood = 384

  private struct Question {
    var peer: NodeID
    var service: PeerService
    var continuation: CheckedContinuation<[UInt8], any Error>
    var timer: Task<Void, Never>?
  }

  private struct State {
    var nextNumber: UInt64 = 1
    var waiting: [UInt64: Question] = [:]
    var work = 0
    var workOf: [NodeID: Int] = [:]
    /// What was refused to those that have too much at work, since they were charged for it or had less.
    var refusedOf: [NodeID: Int] = [:]
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

  /// Asks a peer and waits for its answer.
  func ask(_ service: PeerService, _ body: [UInt8], of peer: NodeID, timeoutSeconds: Double) async throws -> [UInt8] {
    let number = state.withLock { state in
      defer { state.nextNumber += 1 }
      return state.nextNumber
    }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isTaken = state.withLock { state in
          guard state.waiting.count < ServiceHub.maximumQuestions else { return false }
          state.waiting[number] = Question(peer: peer, service: service, continuation: continuation)
          return true
        }
        guard isTaken else { return continuation.resume(throwing: ServiceFailure.tooManyQuestions) }
        let message = ServiceMessage(number: number, isAnswer: false, service: service.rawValue, body: body)
        guard send(message, peer) else { return finish(number, .failure(ServiceFailure.noLink(peer))) }
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
  func receive(_ message: ServiceMessage, from peer: NodeID) {
    if message.isAnswer {
      let isExpected = state.withLock { state in
        guard let question = state.waiting[message.number] else { return false }
        return question.peer == peer && question.service.rawValue == message.service
      }
      guard isExpected else { return count("service.unexpectedAnswer") }
      return finish(message.number, .success(message.body))
    }
    guard let service = PeerService(rawValue: message.service) else { return count("service.unknown") }
    let mayWork = state.withLock { state in
      let ofPeer = state.workOf[peer, default: 0]
      guard state.work < ServiceHub.maximumWork, ofPeer < ServiceHub.maximumWorkOfPeer else { return false }
      state.work += 1
      state.workOf[peer] = ofPeer + 1
      return true
    }
    guard mayWork else { return refuse(peer) }
    Task {
      if let body = await answer(service, message.body, peer) {
        _ = send(
          ServiceMessage(number: message.number, isAnswer: true, service: message.service, body: body), peer)
      } else {
        count("service.malformed")
      }
      state.withLock { state in
        state.work -= 1
        let left = state.workOf[peer, default: 1] - 1
        state.workOf[peer] = left > 0 ? left : nil
        if left <= ServiceHub.maximumWorkOfPeer / 2 { state.refusedOf[peer] = nil }
      }
    }
  }

  private func refuse(_ peer: NodeID) {
    let isFlood = state.withLock { state in
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
    let numbers = state.withLock { $0.waiting.filter { $0.value.peer == peer }.map(\.key) }
    for number in numbers { finish(number, .failure(ServiceFailure.noLink(peer))) }
  }

  private func finish(_ number: UInt64, _ result: Result<[UInt8], any Error>) {
    let entry = state.withLock { $0.waiting.removeValue(forKey: number) }
    entry?.timer?.cancel()
    entry?.continuation.resume(with: result)
  }

  private func count(_ name: String) { state.withLock { $0.counters.add(name) } }
}
