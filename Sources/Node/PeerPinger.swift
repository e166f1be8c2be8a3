import Blobs
import Control
import Membership
import Primitives
import Wire

/// Pings a peer again and again, over both paths at once, for one client.
actor PeerPinger {
  private static let linkTimeoutSeconds = 5.0

  private let node: RunningNode
  private let target: NodeID
  private let request: PeerPingRequest
  private var sequence = 0
  private var startedAt = ContinuousClock.now
  /// The answer over the link to the ping whose answer over UDP was given last.
  private var second: PingAnswer?

  init(node: RunningNode, target: NodeID, request: PeerPingRequest) {
    self.node = node
    self.target = target
    self.request = request
  }

  /// The next answer; nil after the last.
  func next() async throws -> PingAnswer? {
    if let answer = second {
      second = nil
      return answer
    }
    guard sequence < request.count else { return nil }
    if sequence > 0 {
      try await Task.sleep(until: startedAt + .milliseconds(request.intervalMilliseconds), clock: .continuous)
    }
    sequence += 1
    startedAt = ContinuousClock.now
    async let byLink = overLink(sequence)
    async let byDatagram = overDatagrams(sequence)
    second = await byLink
    return await byDatagram
  }

  private nonisolated func overDatagrams(_ sequence: Int) async -> PingAnswer {
    let driver = node.driver
    let outcome = await node.shell.pings.wait { driver.post(.ping(target, request: $0)) }
    return PeerPinger.answer(to: sequence, outcome)
  }

  static func answer(to sequence: Int, _ outcome: PingOutcome) -> PingAnswer {
    var answer = PingAnswer(sequence: sequence, path: .udp)
    switch outcome {
    case .answered(let roundTrip, let source):
      answer.rttMicroseconds = UInt64(max(0, roundTrip.count))
      answer.address = "\(source)"
    case .timedOut: answer.error = .timedOut
    case .noAddress: answer.error = .noAddress
    case .notAMember: answer.error = .notAMember
    case .busy: answer.error = .busy
    }
    return answer
  }

  /// Asks for a blob that nobody has: the answer is empty and comes at once, by the way that all services have.
  private nonisolated func overLink(_ sequence: Int) async -> PingAnswer {
    var answer = PingAnswer(sequence: sequence, path: .tcp)
    guard let link = node.shell.endpoint.value?.links.first(where: { $0.id == target }) else {
      answer.error = .noLink
      return answer
    }
    let question = BlobRequest(root: .zero, firstChunk: 0, count: 1).encoded()
    let start = MonotonicClock.now()
    do {
      _ = try await node.hub.ask(.blob, question, of: target, timeoutSeconds: PeerPinger.linkTimeoutSeconds)
      answer.rttMicroseconds = UInt64(max(0, (MonotonicClock.now() - start).count))
      answer.address = "\(link.address)"
    } catch ServiceFailure.noLink {
      answer.error = .noLink
    } catch ServiceFailure.tooManyQuestions {
      answer.error = .busy
    } catch {
      answer.error = .timedOut
    }
    return answer
  }
}
