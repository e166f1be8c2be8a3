import CLinux
import Foundation
import Glibc

/// One daemon of a testnet, as a process of this host. The file `pid` holds the process id and its start time, so
/// that another process that got the same id later is never taken for it.
struct NodeProcess: Sendable {
  /// How long a process that was killed may take to be gone, with all that it holds, on a machine that has no time for it.
  static let killSeconds = 30.0

  let layout: TestnetLayout
  let number: Int

  private var pidFile: String { layout.file("pid", of: number) }

  /// The process id, while the process runs.
  var runningID: pid_t? {
    guard let text = try? String(contentsOfFile: pidFile, encoding: .utf8) else { return nil }
    let parts = text.split(whereSeparator: \.isWhitespace)
    guard parts.count == 2, let id = pid_t(parts[0]), NodeProcess.startTime(of: id) == String(parts[1]) else {
      return nil
    }
    return id
  }

  /// Starts the daemon in a session of its own, its output appended to `log`.
  ///
  /// - Parameter prefix: words before the daemon's: a program that becomes it, such as `nsenter`.
  func start(binary: String, prefix: [String] = []) throws {
    let path = layout.file("log", of: number)
    let log = linnet_open(path, O_WRONLY | O_CREAT | O_APPEND, 0o640)
    guard log >= 0 else {
      throw TestnetError("\(path): \(String(cString: strerror(-log)))", suggestion: "look at the directory")
    }
    defer { close(log) }
    let words = prefix + [binary, "daemon", "--config", layout.file("node.conf", of: number)]
    let started = SpawnedProgram.start(words, output: log, errors: log, inNewSession: true)
    guard case .success(let id) = started, let start = NodeProcess.startTime(of: id) else {
      var reason = "it ended at once"
      if case .failure(let failure) = started { reason = failure.description }
      throw TestnetError("node \(number) could not be started (\(reason))", suggestion: "look at \(path)")
    }
    try "\(id) \(start)\n".write(toFile: pidFile, atomically: true, encoding: .utf8)
  }

  /// Ends the daemon as a crash would. Returns false when it was not running.
  func kill() -> Bool { stop(graceSeconds: 0) }

  /// Ends the daemon: TERM, and KILL when it has not ended after `graceSeconds`, at once when these are 0. Returns false when it was not running.
  func stop(graceSeconds: Double) -> Bool {
    guard let id = runningID else { return false }
    let pidfd = linnet_pidfd_open(id)
    guard pidfd >= 0 else { return false }
    defer { close(pidfd) }
    // The id may have been given to another process between reading the file and opening it.
    guard runningID == id else { return false }
    if graceSeconds > 0 { _ = linnet_pidfd_send_signal(pidfd, SIGTERM) }
    if graceSeconds <= 0 || !NodeProcess.hasEnded(pidfd, withinSeconds: graceSeconds) {
      _ = linnet_pidfd_send_signal(pidfd, SIGKILL)
      _ = NodeProcess.hasEnded(pidfd, withinSeconds: NodeProcess.killSeconds)
    }
    // A zombie of our own, when this process started it.
    var status: Int32 = 0
    waitpid(id, &status, WNOHANG)
    try? FileManager.default.removeItem(atPath: pidFile)
    return true
  }

  static func hasEnded(_ pidfd: Int32, withinSeconds seconds: Double) -> Bool {
    var entry = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, Int32(seconds * 1_000)) > 0
  }

  /// The start time of a process in clock ticks since boot, from /proc; nil when there is no such process or it is a
  /// zombie, of which other threads may still be ending: a daemon waits for the lock that they hold.
  static func startTime(of id: pid_t) -> String? {
    guard let stat = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
      let end = stat.lastIndex(of: ")")
    else { return nil }
    // Behind the name, which may hold anything: the state is field 3, the start time field 22.
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 19, fields[0] != "Z" else { return nil }
    return String(fields[19])
  }
}
