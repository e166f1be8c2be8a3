import Control
import Synchronization

/// Tells those who follow what happens in the network around this node.
final class EventFeed: Sendable {
  private let ring = Mutex(EventRing())
  private let bell = CommitBell()

  /// How many events followers have missed because they read too slowly.
  var missed: UInt64 { ring.withLock { $0.missed } }

  /// Adds what happened. Called on loops that must not block.
  func add(
    _ kind: EventKind, peer: String? = nil, _ detail: EventAnswer.Detail = .init(),
    at time: WallTime = WallTimeSource.now()
  ) {
    ring.withLock { $0.add(kind, peer: peer, detail, at: time) }
    bell.ring()
  }

  /// What is asked for, one event after the other; throws `eventsBegunAnew` for a number that has not come yet.
  func events(_ request: EventRequest) throws -> PullStream<EventAnswer> {
    let (oldest, next) = ring.withLock { ($0.oldest, $0.next) }
    guard request.from <= next else {
      throw ControlError.conflict(
        code: "eventsBegunAnew", "event \(request.from) has not happened: the next is \(next)",
        suggestion: "the daemon was started anew since; ask from 0")
    }
    let reader = Reader(feed: self, request: request, place: request.from == 0 ? oldest : request.from)
    return PullStream { try await reader.next() }
  }

  /// The place of one who reads.
  private actor Reader {
    /// Nobody is woken in vain more often than this.
    private static let longestWaitSeconds = 3_600.0

    private let feed: EventFeed
    private let request: EventRequest
    private var place: UInt64

    init(feed: EventFeed, request: EventRequest, place: UInt64) {
      self.feed = feed
      self.request = request
      self.place = place
    }

    func next() async throws -> EventAnswer? {
      while true {
        try Task.checkCancellation()
        let rings = feed.bell.rings
        switch feed.read(at: &place, request.kinds) {
        case .event(let event): return event
        case .gap(let missed):
          return EventAnswer(
            sequence: place, at: WallTimeSource.now(), kind: .gap, detail: .init(missed: missed))
        case .end:
          guard request.follow else { return nil }
          await feed.bell.wait(seconds: Reader.longestWaitSeconds, seen: rings)
        }
      }
    }
  }

  private func read(at place: inout UInt64, _ kinds: Set<EventKind>) -> EventRing.Found {
    ring.withLock { $0.read(at: &place, kinds: kinds) }
  }
}
