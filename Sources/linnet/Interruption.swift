import Control
import Dispatch
import Glibc
import Synchronization

/// Hears SIGINT and SIGTERM for as long as it lives. The second signal ends the process at once.
final class Interruption {
  /// Signals so far.
  private final class Count: Sendable {
    let value = Mutex(0)
  }

  private let sources: [any DispatchSourceSignal]
  private let count = Count()

  /// Whether a signal has come.
  var hasHappened: Bool { count.value.withLock { $0 > 0 } }

  /// From now on, `interrupt` is called at the first signal.
  init(_ interrupt: @escaping @Sendable () -> Void) {
    let queue = DispatchQueue(label: "linnet.signals")
    let heard: @Sendable () -> Void = { [count] in
      let number = count.value.withLock { value in
        value += 1
        return value
      }
      if number > 1 { Glibc.exit(RunExit.interrupted) }
      interrupt()
    }
    sources = [SIGINT, SIGTERM].map { number in
      // The default action would end the process before the source hears of it.
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler(handler: heard)
      source.resume()
      return source
    }
  }

  deinit {
    for source in sources { source.cancel() }
  }
}
