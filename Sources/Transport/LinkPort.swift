import Glibc
import NIOCore
import Primitives
import Synchronization
import Wire

/// The half of a link that any thread may touch: its send queue, what of its frames was dealt with, and its statistics.
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
    /// What one link may have waiting however much waits on the others: so those that read nothing silence nobody else.
    let share: Int
    let byteCount = Atomic<Int>(0)
    /// True while a turn of the loop is on its way that will make room.
    let isRelieving = Atomic<Bool>(false)

    init(limit: Int, links: Int) {
      self.limit = limit
      share = limit / max(1, links)
    }

    /// True when the limit leaves no room for so many bytes more.
    func isFull(for byteCount: Int) -> Bool { self.byteCount.load(ordering: .relaxed) + byteCount > limit }
  }
  private let budget: Budget

  private struct Waiting {
    /// Nil once the link is gone.
    var queue: LinkQueue?
    /// True while a turn of the loop is on its way that will look into the queue.
    var isScheduled = false
  }
  private let waiting: Mutex<Waiting>

  /// What the loop tells of the link after each turn.
  struct Report {
    var streams: [StreamInfo]
    var rekeys: UInt64
    var roundTrip: Microseconds?
  }

  private struct Incoming {
    var receipts: LinkReceipts
    var report: Report
  }
  private let incoming: Mutex<Incoming>

  let bytesIn = Atomic<UInt64>(0)
  let bytesOut = Atomic<UInt64>(0)

  /// Called on `loop`.
  init(
    id: NodeID, address: PeerAddress, direction: LinkDirection, configuration: LinkConfiguration, budget: Budget,
    loop: EventLoop, handler: LinkHandler
  ) {
    self.budget = budget
    self.id = id
    self.address = address
    self.direction = direction
    self.loop = loop
    self.handler = NIOLoopBound(handler, eventLoop: loop)
    waiting = Mutex(Waiting(queue: LinkQueue(limits: configuration.queueLimits)))
    incoming = Mutex(
      Incoming(
        receipts: LinkReceipts(configuration: configuration), report: Report(streams: [], rekeys: 0, roundTrip: nil)))
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    sinceUnixMicroseconds = UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(max(0, time.tv_nsec)) / 1_000
  }

  /// Queues a frame and sees to it that the loop sends it.
  func send(_ frame: [UInt8], on channel: LinkChannel) -> LinkQueue.Outcome {
    let cost = LinkQueue.cost(of: frame)
    let isFull = budget.isFull(for: cost)
    let (outcome, isToSchedule) = waiting.withLock { waiting -> (LinkQueue.Outcome, Bool) in
      guard var queue = waiting.queue.take() else { return (.refused, false) }
      defer { waiting.queue = queue }
      let before = queue.byteCount
      // Votes are never refused for what waits for others.
      guard !isFull || channel == .consensus || before + cost <= budget.share else { return (.refused, false) }
      let outcome = queue.push(frame, on: channel)
      budget.byteCount.add(queue.byteCount - before, ordering: .relaxed)
      let isToSchedule = outcome != .refused && !waiting.isScheduled
      if isToSchedule { waiting.isScheduled = true }
      return (outcome, isToSchedule)
    }
    if isToSchedule { loop.execute { [handler] in handler.value.drain() } }
    if isFull, !budget.isRelieving.exchange(true, ordering: .relaxed) {
      loop.execute { [handler] in handler.value.relieve(cost) }
    }
    return outcome
  }

  /// The next fragment. When there is none, the next `send` schedules a turn of the loop again.
  func next(maximumByteCount: Int, window: (LinkChannel) -> Int) -> LinkQueue.Fragment? {
    waiting.withLock { waiting in
      guard var queue = waiting.queue.take() else { return nil }
      defer { waiting.queue = queue }
      let before = queue.byteCount
      let fragment = queue.next(maximumByteCount: maximumByteCount, window: window)
      budget.byteCount.subtract(before - queue.byteCount, ordering: .relaxed)
      waiting.isScheduled = fragment != nil
      return fragment
    }
  }

  /// The channels whose queues became congested, or ceased to be, since this was asked last.
  func congestionChanges() -> [(channel: LinkChannel, isCongested: Bool)] {
    waiting.withLock { $0.queue?.congestionChanges() ?? [] }
  }

  /// Lets go of everything that waits: the link is gone.
  func discard() {
    waiting.withLock { waiting in
      guard let queue = waiting.queue.take() else { return }
      budget.byteCount.subtract(queue.byteCount, ordering: .relaxed)
    }
  }

  /// A frame is handed on.
  func handOn(_ channel: LinkChannel) { incoming.withLock { $0.receipts.handOn(channel) } }

  /// A frame that was handed on was dealt with.
  func consumed(_ byteCount: Int, on channel: LinkChannel) {
    guard incoming.withLock({ $0.receipts.consumed(byteCount, channel) }) else { return }
    loop.execute { [handler] in handler.value.giveBack() }
  }

  /// Takes what was dealt with, by channel.
  func takeDealt(isHolding: (LinkChannel) -> Bool) -> [LinkReceipts.Dealt] {
    incoming.withLock { incoming in
      LinkChannel.allCases.map { incoming.receipts.take($0, isHolding: isHolding($0)) }
    }
  }

  /// The link is gone: how many frames of each channel were handed on and not dealt with.
  func retire() -> [Int] { incoming.withLock { $0.receipts.retire() } }

  /// Takes note of how the link is.
  func report(_ report: Report) { incoming.withLock { $0.report = report } }

  /// What waits to be sent.
  var waitingByteCount: Int { waiting.withLock { $0.queue?.byteCount ?? 0 } }

  var info: LinkInfo {
    var report = incoming.withLock { $0.report }
    let waitingBytes = waiting.withLock { waiting in
      for index in report.streams.indices {
        report.streams[index].queuedBytes = waiting.queue?.byteCount(of: report.streams[index].channel) ?? 0
      }
      return waiting.queue?.byteCount ?? 0
    }
    return LinkInfo(
      id: id, address: address, direction: direction, sinceUnixMicroseconds: sinceUnixMicroseconds,
      bytesIn: bytesIn.load(ordering: .relaxed), bytesOut: bytesOut.load(ordering: .relaxed),
      roundTripMicroseconds: report.roundTrip.map { UInt64(max(0, $0.count)) }, streams: report.streams,
      rekeys: report.rekeys, waitingBytes: waitingBytes)
  }
}
