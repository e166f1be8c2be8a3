import CLinux
import Glibc
import Synchronization

/// Tells when processes end: one thread polls their pidfds, so that no thread of Swift's pool ever waits.
final class ProcessWatcher: Sendable {
  private struct State {
    var handlers: [Int32: @Sendable () -> Void] = [:]
    var stopped = false
  }

  /// An eventfd: written to, it makes the thread look at its list again.
  private let wakeDescriptor: Int32
  private let state = Mutex(State())

  init() throws(ExecutorError) {
    wakeDescriptor = linnet_event_descriptor()
    guard wakeDescriptor >= 0 else {
      throw ExecutorError(.spawn, "cannot watch processes", cause: String(cString: strerror(-wakeDescriptor)))
    }
    var thread = pthread_t()
    // The thread holds the watcher until it is stopped, because it waits on the watcher's descriptors.
    let context = Unmanaged.passRetained(self).toOpaque()
    let result = pthread_create(&thread, nil, { ProcessWatcher.main($0) }, context)
    guard result == 0 else {
      Unmanaged<ProcessWatcher>.fromOpaque(context).release()
      throw ExecutorError(.spawn, "cannot start the thread that watches jobs", cause: String(cString: strerror(result)))
    }
    pthread_detach(thread)
  }

  deinit {
    close(wakeDescriptor)
  }

  private static func main(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let watcher = Unmanaged<ProcessWatcher>.fromOpaque(context).takeRetainedValue()
    while watcher.waitOnce() {}
    return nil
  }

  private func waitOnce() -> Bool {
    guard let watched = state.withLock({ $0.stopped ? nil : Array($0.handlers.keys) }) else { return false }
    var polled = [pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0)]
    polled += watched.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    guard poll(&polled, nfds_t(polled.count), -1) > 0 else { return true }
    if polled[0].revents != 0 {
      var count: UInt64 = 0
      read(wakeDescriptor, &count, 8)
    }
    for descriptor in polled.dropFirst() where descriptor.revents != 0 {
      state.withLock { $0.handlers.removeValue(forKey: descriptor.fd) }?()
    }
    return true
  }

  private func wake() {
    var one: UInt64 = 1
    write(wakeDescriptor, &one, 8)
  }

  /// Calls `handler` once, on the watcher's thread, when the process of `pidfd` has ended. The descriptor stays the
  /// caller's, who closes it after that.
  func watch(_ pidfd: Int32, _ handler: @escaping @Sendable () -> Void) {
    state.withLock { $0.handlers[pidfd] = handler }
    wake()
  }

  /// Ends the thread; nothing is reported any more.
  func stop() {
    state.withLock {
      $0.stopped = true
      $0.handlers = [:]
    }
    wake()
  }
}
