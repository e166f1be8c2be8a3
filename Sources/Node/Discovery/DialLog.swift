import Control
import Primitives
import Wire

/// Why the latest dial to each address came to nothing.
struct DialLog {
  /// The most addresses remembered.
  static let capacity = 1_024
  /// The same failure at the same address is told again after this long: dials are repeated for ever.
  static let repeatMicroseconds: Int64 = 600_000_000

  /// What went wrong, and when.
  struct Failure: Equatable {
    var reason: String
    var at: WallTime
    /// When it was last told as an event.
    fileprivate var toldAt: WallTime
  }

  private var failures = BoundedMap<PeerAddress, Failure>(capacity: DialLog.capacity)

  /// The latest failure of dials to an address; nil when the last one succeeded or there was none.
  subscript(address: PeerAddress) -> Failure? { failures[address] }

  /// Notes a failure. True when it is worth an event.
  mutating func failed(_ address: PeerAddress, _ reason: String, at time: WallTime) -> Bool {
    var failure = failures[address] ?? Failure(reason: "", at: time, toldAt: time)
    let isNews =
      failure.reason != reason
      || time.microsecondsSinceEpoch - failure.toldAt.microsecondsSinceEpoch >= DialLog.repeatMicroseconds
    failure.reason = reason
    failure.at = time
    if isNews { failure.toldAt = time }
    // What failed last is kept longest.
    failures.removeValue(forKey: address)
    failures.insert(failure, forKey: address)
    return isNews
  }

  /// Notes that there is a link with who is at an address.
  mutating func succeeded(_ address: PeerAddress) { failures.removeValue(forKey: address) }
}
