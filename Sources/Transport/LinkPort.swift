import Glibc
import NIOCore
import Primitives
import Synchronization
import Wire

/// The half of a link that any thread may touch: its send queue and its statistics.
final class LinkPort: Sendable {
  let id: NodeID
  let address: PeerAddress
  let direction: LinkDirection
  private let sinceUnixMicroseconds: UInt64
  private let loop: EventLoop
  private let handler: NIOLoopBound<LinkHandler>

  /// What waits on all links of an endpoint together.
  final class Budget: Sendable {
    let limit: Int
    let byteCount = Atomic<Int>(0)
    init(limit: Int) { self.limit = limit }
  }
  private let budget: Budget

  private struct Waiting {
    /// Nil once the link is gone.
    var queue: LinkQueue?
    /// True while a turn of the loop is on its way that will look into the queue.
    var isScheduled = false
  }
  private let waiting: Mutex<Waiting>

  let bytesIn = Atomic<UInt64>(0)
  let bytesOut = Atomic<UInt64>(0)
  // 0 before the first sample.
  let roundTripMicroseconds = Atomic<UInt64>(0)

  /// Called on `loop`.
  init(
    id: NodeID, address: PeerAddress, direction: LinkDirection, queueLimits: [Int], budget: Budget,
    loop: EventLoop, handler: LinkHandler
  ) {
    self.budget = budget
    self.id = id
    self.address = address
    self.direction = direction
    self.loop = loop
    self.handler = NIOLoopBound(handler, eventLoop: loop)
    waiting = Mutex(Waiting(queue: LinkQueue(limits: queueLimits)))
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    sinceUnixMicroseconds = UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(max(0, time.tv_nsec)) / 1_000
  }

  /// Queues a frame and sees to it that the loop sends it.
  func send(_ frame: [UInt8], on channel: LinkChannel) -> LinkQueue.Outcome {
    let (outcome, isToSchedule) = waiting.withLock { waiting -> (LinkQueue.Outcome, Bool) in
      guard var queue = waiting.queue.take() else { return (.refused, false) }
      defer { waiting.queue = queue }
      let before = queue.byteCount
      // Votes are never refused for what waits for others.
      let isWithinBudget =
        channel == .consensus
        || budget.byteCount.load(ordering: .relaxed) + LinkQueue.cost(of: frame) <= budget.limit
      guard isWithinBudget else { return (.refused, false) }
      let outcome = queue.push(frame, on: channel)
      budget.byteCount.add(queue.byteCount - before, ordering: .relaxed)
      let isToSchedule = outcome != .refused && !waiting.isScheduled
      if isToSchedule { waiting.isScheduled = true }
      return (outcome, isToSchedule)
    }
    if isToSchedule { loop.execute { [handler] in handler.value.drain() } }
    return outcome
  }

  /// The next fragment. When there is none, the next `send` schedules a turn of the loop again.
  func next() -> LinkQueue.Fragment? {
    waiting.withLock { waiting in
      guard var queue = waiting.queue.take() else { return nil }
      defer { waiting.queue = queue }
      let before = queue.byteCount
      let fragment = queue.next()
      budget.byteCount.subtract(before - queue.byteCount, ordering: .relaxed)
      waiting.isScheduled = fragment != nil
      return fragment
    }
  }

  /// Lets go of everything that waits: the link is gone.
  func discard() {
    waiting.withLock { waiting in
      guard let queue = waiting.queue.take() else { return }
      budget.byteCount.subtract(queue.byteCount, ordering: .relaxed)
    }
  }

  var info: LinkInfo {
    let roundTrip = roundTripMicroseconds.load(ordering: .relaxed)
    return LinkInfo(
      id: id, address: address, direction: direction, sinceUnixMicroseconds: sinceUnixMicroseconds,
      bytesIn: bytesIn.load(ordering: .relaxed), bytesOut: bytesOut.load(ordering: .relaxed),
      roundTripMicroseconds: roundTrip == 0 ? nil : roundTrip)
  }
}
