import Synchronization

/// Requests to the core that wait for its answers.
final class CoreRequests<Answer: Sendable>: Sendable {
  private struct State {
    var next: UInt64 = 1
    var waiting: [UInt64: CheckedContinuation<Answer, Never>] = [:]
    var hasEnded = false
  }

  private let state = Mutex(State())
  private let ending: Answer

  /// - Parameter ending: what those get that the core answers no more.
  init(ending: Answer) { self.ending = ending }

  /// Waits for the answer to the request that `post` is given the number of.
  func wait(_ post: (UInt64) -> Void) async -> Answer {
    await withCheckedContinuation { continuation in
      let number = state.withLock { state -> UInt64? in
        guard !state.hasEnded else { return nil }
        defer { state.next += 1 }
        state.waiting[state.next] = continuation
        return state.next
      }
      guard let number else { return continuation.resume(returning: ending) }
      post(number)
    }
  }

  /// Gives the answer to a request.
  func answer(_ number: UInt64, _ answer: Answer) {
    state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: answer)
  }

  /// Ends all waiting, now and later: the core answers no more.
  func end() {
    let waiting = state.withLock { state in
      state.hasEnded = true
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for continuation in waiting { continuation.resume(returning: ending) }
  }
}
