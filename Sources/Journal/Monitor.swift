import Glibc

/// A value behind a lock with one condition to wait on: what `Mutex` lacks for a thread that sleeps until there is work.
///
/// `@unchecked Sendable` is safe because `value` is touched only between lock and unlock, and the two pthread objects
/// live at fixed addresses for as long as the monitor does.
final class Monitor<Value: Sendable>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var value: Value

  init(_ value: Value) {
    self.value = value
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Runs `body` with the lock held and wakes whoever waits.
  func update<Answer, Failure: Error>(_ body: (inout Value) throws(Failure) -> Answer) throws(Failure) -> Answer {
    pthread_mutex_lock(mutex)
    defer {
      pthread_cond_broadcast(condition)
      pthread_mutex_unlock(mutex)
    }
    return try body(&value)
  }

  /// Sleeps until `body` answers something, tried after every update.
  func wait<Answer>(for body: (inout Value) -> Answer?) -> Answer {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let answer = body(&value) { return answer }
      pthread_cond_wait(condition, mutex)
    }
  }
}

/// A thread of its own, joined once.
///
/// `@unchecked Sendable` is safe because the handle is written once, before anyone else can see the object.
final class WorkerThread: @unchecked Sendable {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private var handle = pthread_t()

  /// Starts it; answers the error number of pthread_create where the system refuses.
  static func start(_ run: @escaping @Sendable () -> Void) -> (thread: WorkerThread?, errorNumber: Int32) {
    let thread = WorkerThread()
    let body = Unmanaged.passRetained(Body(run))
    let result = pthread_create(
      &thread.handle, nil,
      { context in
        if let context { Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run() }
        return nil
      }, body.toOpaque())
    guard result == 0 else {
      body.release()
      return (nil, result)
    }
    return (thread, 0)
  }

  /// Waits for its end; from the thread itself it only lets go, since a thread cannot wait for itself.
  func join() {
    if pthread_equal(handle, pthread_self()) != 0 {
      pthread_detach(handle)
    } else {
      pthread_join(handle, nil)
    }
  }
}
