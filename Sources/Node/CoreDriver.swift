import Core
import Logging
import NIOCore
import NIOPosix
import Primitives
import Wire

/// What performs the effects of a core. Called on the core's event loop: no method may block.
protocol CoreShell: AnyObject, Sendable {
  /// Sends a datagram.
  func send(datagram: Verified<Message>, to address: PeerAddress, receiver: NodeID)
  /// Sends over a link.
  func send(_ message: LinkMessage, to peer: NodeID)
  /// Writes records to the journal; `completion` is called when they are durable, with false when they never will be.
  func persist(_ records: [[UInt8]], completion: @escaping @Sendable (Bool) -> Void)
  /// Performs every other effect.
  func perform(_ effect: CoreEffect)
}

/// Drives one core on one event loop: nothing else touches the core's state, so it needs no lock.
actor CoreDriver {
  /// The most sends that wait for the disk; what is over is dropped and counted, as a lossy network would.
  private static let maximumHeld = 65_536
  /// The wall clock is looked at this often.
  private static let clockInterval = Microseconds.seconds(1)
  /// A timer is never set further ahead.
  private static let longestSleep = Microseconds.seconds(3_600)
  /// The core hears of the wall clock when it has moved this far.
  private static let clockTolerance = Microseconds.milliseconds(1)

  nonisolated let loop: any EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }

  private var core: NodeCore
  private let shell: any CoreShell
  private let logger: Logger
  private var wake: Scheduled<Void>?
  private var wakeAt = Instant.distantFuture
  private var clockCheckedAt: Instant
  private var offset: Microseconds
  private var durable: UInt64 = 0
  private var held = CircularBuffer<(after: UInt64, message: LinkMessage, to: NodeID)>()
  private var gossip = GossipBatch()
  private var isStopped = false
  private(set) var counters = Counters()

  init(core: NodeCore, shell: any CoreShell, loop: any EventLoop, logger: Logger) {
    self.core = core
    self.shell = shell
    self.loop = loop
    self.logger = logger
    offset = WallTimeSource.offset()
    clockCheckedAt = MonotonicClock.now()
  }

  /// Hands an input to the core, from any thread. Inputs of one thread keep their order.
  nonisolated func post(_ input: CoreInput) { post([input]) {} }

  /// Hands inputs to the core; `done` is called on its loop when it has handled them.
  nonisolated func post(_ inputs: [CoreInput], done: @escaping @Sendable () -> Void) {
    loop.execute {
      self.assumeIsolated { driver in
        for input in inputs { driver.handle(input) }
      }
      done()
    }
  }

  /// Reads from the core.
  func read<Answer: Sendable>(_ body: @Sendable (NodeCore, Instant) -> Answer) -> Answer {
    body(core, MonotonicClock.now())
  }

  /// No input changes anything after this.
  func stop() {
    isStopped = true
    wake?.cancel()
  }

  private func handle(_ input: CoreInput) {
    guard !isStopped else { return }
    let now = MonotonicClock.now()
    var effects: [CoreEffect] = []
    if now - clockCheckedAt >= CoreDriver.clockInterval { checkClock(now: now, into: &effects) }
    core.step(input, now: now, into: &effects)
    perform(effects)
    schedule(core.nextWake, now: now)
  }

  private func checkClock(now: Instant, into effects: inout [CoreEffect]) {
    clockCheckedAt = now
    let current = WallTimeSource.offset()
    let moved = current - offset
    guard Microseconds(Int64(clamping: moved.count.magnitude)) >= CoreDriver.clockTolerance else { return }
    if moved.count.magnitude > 500_000 { logger.warning("the wall clock was set by \(moved)") }
    offset = current
    core.step(.wallClock(WallClock(offset: current)), now: now, into: &effects)
  }

  private func perform(_ effects: [CoreEffect]) {
    var records: [[UInt8]] = []
    var last: UInt64 = 0
    for effect in effects {
      switch effect {
      case .persist(let sequence, let record):
        records.append(record.encoded)
        last = sequence
      case .send(let message, let peer, let after):
        if after <= durable {
          send(message, to: peer)
        } else if held.count < CoreDriver.maximumHeld {
          held.append((after, message, peer))
        } else {
          counters.add("sendHeldTooMany")
        }
      case .datagram(let message, let address, let receiver):
        shell.send(datagram: message, to: address, receiver: receiver)
      default: shell.perform(effect)
      }
    }
    guard !records.isEmpty else { return }
    shell.persist(records) { [self, last] isDurable in
      guard isDurable else { return }
      loop.execute { self.assumeIsolated { $0.persisted(upTo: last) } }
    }
  }

  private func persisted(upTo sequence: UInt64) {
    guard !isStopped else { return }
    durable = max(durable, sequence)
    while let first = held.first, first.after <= durable {
      held.removeFirst()
      send(first.message, to: first.to)
    }
    handle(.persisted(upTo: durable))
  }

  /// Transactions wait for the end of the loop's turn, so that those of many inputs go out together; an idle node has
  /// turns of one input, and waits for nothing.
  private func send(_ message: LinkMessage, to peer: NodeID) {
    guard case .gossip(.publish(let envelopes)) = message else { return shell.send(message, to: peer) }
    if gossip.isEmpty { loop.execute { self.assumeIsolated { $0.spread() } } }
    for full in gossip.add(envelopes, to: peer) { shell.send(.gossip(full), to: peer) }
  }

  private func spread() {
    for (peer, message) in gossip.drain() { shell.send(.gossip(message), to: peer) }
  }

  /// The next time usually moves away with every message: a timer that is early is left to fire and set anew, which is
  /// cheaper than to cancel one a message.
  private func schedule(_ next: Instant, now: Instant) {
    guard wake == nil || next < wakeAt else { return }
    wake?.cancel()
    wakeAt = next
    let delay = max(0, min(next.microseconds - now.microseconds, CoreDriver.longestSleep.count))
    wake = loop.scheduleTask(in: .microseconds(delay)) {
      self.assumeIsolated { $0.fired() }
    }
  }

  private func fired() {
    wake = nil
    guard !isStopped else { return }
    let now = MonotonicClock.now()
    if core.nextWake <= now { handle(.tick) } else { schedule(core.nextWake, now: now) }
  }
}
