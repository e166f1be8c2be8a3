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

  private struct Waiting {
    var queue: LinkQueue
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
    id: NodeID, address: PeerAddress, direction: LinkDirection, queueLimits: [Int], loop: EventLoop,
    handler: LinkHandler
  ) {
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
    let (outcome, isToSchedule) = waiting.withLock { waiting in
      let outcome = waiting.queue.push(frame, on: channel)
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
      let fragment = waiting.queue.next()
      waiting.isScheduled = fragment != nil
      return fragment
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
