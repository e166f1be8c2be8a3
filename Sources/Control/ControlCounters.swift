import Synchronization

/// Control requests that were refused, by reason. They appear in `refused` of `GET /v1/status`.
package final class ControlCounters: Sendable {
  /// Why a request was refused.
  package enum Refusal: String, CaseIterable, Sendable {
    /// Bytes that are no HTTP request.
    case controlGarbage
    /// A path without a route.
    case controlUnknownRoute
    /// A route asked with a method that it does not have.
    case controlWrongMethod
    /// A body or parameter that cannot be read, or that asks for what can never be.
    case controlMalformed
    /// A body over its limit.
    case controlOversized
    /// Any other answer of 400 to 499.
    case controlRefused
    /// Any answer of 500 to 599.
    case controlFailed
  }

  private let counts = Mutex<[Refusal: UInt64]>([:])

  /// All counters at 0.
  package init() {}

  /// Adds one.
  package func count(_ refusal: Refusal) {
    counts.withLock { $0[refusal, default: 0] &+= 1 }
  }

  /// How often it happened since the start.
  package subscript(refusal: Refusal) -> UInt64 {
    counts.withLock { $0[refusal, default: 0] }
  }

  /// Every counter by its name, zeros included.
  package var all: [String: UInt64] {
    counts.withLock { counts in
      Dictionary(uniqueKeysWithValues: Refusal.allCases.map { ($0.rawValue, counts[$0, default: 0]) })
    }
  }
}
