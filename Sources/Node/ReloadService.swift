import Config
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Reads node.conf again at SIGHUP: what can change does, and the log says what can't. A configuration that is wrong
/// changes nothing.
struct ReloadService: Service {
  let node: RunningNode
  let reload: @Sendable () throws -> NodeConfiguration

  func run() async throws {
    let signals = await UnixSignalsSequence(trapping: .sighup)
    let current = Mutex(node.configuration)
    for await _ in signals.cancelOnGracefulShutdown() {
      let newer: NodeConfiguration
      do { newer = try reload() } catch {
        node.logger.error("the configuration was not changed: \(error)")
        continue
      }
      let changes = current.withLock { current in
        defer { current = newer }
        return current.changes(to: newer)
      }
      if changes.isEmpty { node.logger.notice("the configuration is as before") }
      for change in changes {
        let text = "\(change.key): \(change.before) becomes \(change.after)"
        node.logger.notice("\(change.isReloadable ? text : "\(text) at the next start")")
      }
      if node.sandboxFailure == nil, changes.contains(where: { $0.isReloadable && $0.key.hasPrefix("offer.") }) {
        node.driver.post(
          .offer(
            OfferBuilder.offer(
              newer.offer, hardware: node.hardware, isolation: node.supervisor.isolation.limits)))
      }
    }
  }
}
