import CLinux
import Glibc

/// Runs a program with nothing but a pipe for its output, until it ends or its time is over.
struct ChildRun {
  /// Most bytes kept of the output; a child that writes more is ended.
  static let maximumOutputBytes = 256 << 10
  /// How long a killed child may take to be gone: one that is stuck in the kernel never is, and on a busy host others
  /// take a while.
  private static let reapMicroseconds: UInt64 = 10_000_000

  enum Ending: Hashable {
    case exited(Int32)
    case signalled(Int32)
    /// Killed because the time was over.
    case timedOut
    /// Killed because the time was over, and still there: it is stuck in the kernel.
    case stuck
    /// Killed because it wrote too much.
    case flooded
    case notStarted(String)
  }

  let output: String
  let ending: Ending

  init(_ program: String, _ arguments: [String], timeoutMicroseconds: UInt64) {
    let deadline = Self.now() &+ min(timeoutMicroseconds, 3_600_000_000)
    var vector: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    vector.append(nil)
    defer { for argument in vector { free(argument) } }
    var descriptor: Int32 = -1
    let child = linnet_spawn_probe(program, vector, &descriptor)
    guard child > 0 else {
      output = ""
      ending = .notStarted("\(program): \(HostFiles.reason(-child))")
      return
    }
    defer { close(descriptor) }
    let (text, wasCut) = Self.drain(descriptor, until: deadline)
    output = text
    ending = Self.end(child, wasCut: wasCut, deadline: deadline)
  }

  private enum Cut {
    case time, size
  }

  /// Reads until the end of the output, the bound, or the deadline: what was written by then is read even when this
  /// process comes to it late.
  private static func drain(_ descriptor: Int32, until deadline: UInt64) -> (String, Cut?) {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
      let time = now()
      let isOver = time >= deadline
      var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      // Rounded up, so that the last millisecond is not spun away.
      let ready = poll(&waited, 1, isOver ? 0 : Int32(clamping: (deadline - time) / 1000 + 1))
      if ready == 0, isOver { return (String(decoding: bytes, as: UTF8.self), .time) }
      if ready == 0 || (ready < 0 && errno == EINTR) { continue }
      let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return (String(decoding: bytes, as: UTF8.self), nil) }
      guard bytes.count + count <= maximumOutputBytes else {
        return (String(decoding: bytes, as: UTF8.self), .size)
      }
      bytes += buffer[..<count]
    }
  }

  private static func end(_ child: pid_t, wasCut: Cut?, deadline: UInt64) -> Ending {
    var status: Int32 = 0
    if wasCut == nil, wait(child, until: deadline, &status) { return decoded(status) }
    // Its own process group: what a library started goes with it.
    kill(-child, SIGKILL)
    kill(child, SIGKILL)
    let isGone = wait(child, until: now() &+ reapMicroseconds, &status)
    if wasCut == .size { return isGone ? .flooded : .stuck }
    return isGone ? .timedOut : .stuck
  }

  private static func decoded(_ status: Int32) -> Ending {
    let signal = status & 0x7F
    return signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
  }

  /// Returns whether the child was reaped by then.
  private static func wait(_ child: pid_t, until deadline: UInt64, _ status: inout Int32) -> Bool {
    while true {
      let answer = waitpid(child, &status, WNOHANG)
      if answer == child { return true }
      // Reaped by someone else (a daemon may ignore SIGCHLD): gone, and how is not known.
      if answer < 0, errno != EINTR {
        status = 0
        return true
      }
      guard now() < deadline else { return false }
      usleep(1000)
    }
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000 &+ UInt64(time.tv_nsec) / 1000
  }
}
