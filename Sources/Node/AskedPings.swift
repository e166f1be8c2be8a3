import Membership
import Synchronization

/// Pings that people asked for and that wait for the core's answer.
final class AskedPings: Sendable {
  private struct State {
    var next: UInt64 = 1
    var waiting: [UInt64: CheckedContinuation<PingOutcome, Never>] = [:]
    var hasEnded = false
  }

  private let state = Mutex(State())

  /// Waits for the answer to the request that `post` is given the number of. The core answers each in time.
  func wait(_ post: (UInt64) -> Void) async -> PingOutcome {
    await withCheckedContinuation { continuation in
      let number = state.withLock { state -> UInt64? in
        guard !state.hasEnded else { return nil }
        defer { state.next += 1 }
        state.waiting[state.next] = continuation
        return state.next
      }
      guard let number else { return continuation.resume(returning: .timedOut) }
      post(number)
    }
  }

  /// Gives the answer to a request.
  func answer(_ number: UInt64, _ outcome: PingOutcome) {
    state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: outcome)
  }

  /// Ends all waiting, now and later: the core answers no more.
  func end() {
    let waiting = state.withLock { state in
      state.hasEnded = true
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for continuation in waiting { continuation.resume(returning: .timedOut) }
  }
}
