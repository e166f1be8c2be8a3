import Synchronization

/// Rings at every commit, for those who wait for a change of the final state.
final class CommitBell: Sendable {
  private struct State {
    var next: UInt64 = 1
    var rings: UInt64 = 0
    var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
  }

  private let state = Mutex(State())

  /// How often it has rung. Read before the state that is waited for, and given to `wait`, so that a commit between
  /// the two is not missed.
  var rings: UInt64 { state.withLock { $0.rings } }

  /// Returns at the next commit, when `seconds` have passed, or when the task is cancelled.
  ///
  /// - Parameter seen: what `rings` was; when it has rung since, this returns at once.
  func wait(seconds: Double, seen: UInt64? = nil) async {
    let number = state.withLock { state in
      defer { state.next += 1 }
      return state.next
    }
    // Made before the continuation is stored, a timer could fire with nobody to wake.
    let timer = Mutex<Task<Void, Never>?>(nil)
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let mustWait = state.withLock { state in
          guard seen == nil || seen == state.rings else { return false }
          state.waiting[number] = continuation
          return true
        }
        guard mustWait else { return continuation.resume() }
        timer.withLock {
          $0 = Task { [self] in
            try? await Task.sleep(for: .seconds(max(0, seconds)))
            wake(number)
          }
        }
        // A cancellation that came before the continuation was stored has found nothing to wake.
        if Task.isCancelled { wake(number) }
      }
    } onCancel: {
      wake(number)
    }
    timer.withLock { $0?.cancel() }
  }

  /// Wakes all who wait.
  func ring() {
    let waiting = state.withLock { state in
      state.rings &+= 1
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for continuation in waiting { continuation.resume() }
  }

  private func wake(_ number: UInt64) {
    state.withLock { $0.waiting.removeValue(forKey: number) }?.resume()
  }
}
