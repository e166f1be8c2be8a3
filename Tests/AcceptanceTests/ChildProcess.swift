import Foundation
import Glibc

/// How a process ended and what it printed.
struct Outcome {
  /// The exit code, or 128 + n after signal n.
  var code: Int32
  var stdout: String
  var stderr: String
  var seconds: Double

  /// All of it, for a message.
  var described: String { "exit code \(code)\nstdout: \(stdout)\nstderr: \(stderr)" }
}

/// A process that this test started.
final class ChildProcess {
  let id: pid_t
  private let words: [String]
  private let output: Int32
  private let errors: Int32
  private let started = ContinuousClock.now
  private var ended: Int32?

  /// Starts a program by its path or, found on `PATH`, its name. With `log`, what it prints is appended there.
  init(_ words: [String], environment: [String: String] = [:], log: String? = nil) throws {
    self.words = words
    output = log.map { open($0, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o640) } ?? ChildProcess.unnamedFile()
    errors = log == nil ? ChildProcess.unnamedFile() : dup(output)
    guard output >= 0, errors >= 0 else { throw Trouble("no temporary files: \(String(cString: strerror(errno)))") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    // A thread of the test's pool blocks signals, which a program that sets nothing would never hear.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    // The host's own settings must not steer which node a command talks to.
    var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("LINNET_") && $0.key != "NO_COLOR" }
    variables.merge(environment) { $1 }
    let strings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    let arguments = words.map { strdup($0) } + [nil]
    defer { for string in strings + arguments { free(string) } }
    var id: pid_t = 0
    let status = posix_spawnp(&id, words[0], &actions, &attributes, arguments, strings)
    guard status == 0 else { throw Trouble("\(words[0]) could not be started: \(String(cString: strerror(status)))") }
    self.id = id
  }

  deinit {
    if ended == nil {
      kill(id, SIGKILL)
      var status: Int32 = 0
      waitpid(id, &status, 0)
    }
    close(output)
    close(errors)
  }

  /// Whether it has not ended.
  var isRunning: Bool {
    if ended != nil { return false }
    var status: Int32 = 0
    guard waitpid(id, &status, WNOHANG) == id else { return true }
    ended = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    return false
  }

  /// Sends it a signal while it runs.
  func send(_ signal: Int32) { if isRunning { kill(id, signal) } }

  /// What it has printed so far.
  var stdout: String { ChildProcess.content(of: output) }
  /// What it has complained so far.
  var stderr: String { ChildProcess.content(of: errors) }

  /// Waits for its end; throws, and kills it, when it takes longer than that.
  func outcome(within seconds: Double) throws -> Outcome {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while isRunning {
      guard ContinuousClock.now < deadline else {
        kill(id, SIGKILL)
        throw Trouble("`\(words.joined(separator: " "))` did not end within \(seconds) s\n\(stdout)\n\(stderr)")
      }
      usleep(2_000)
    }
    return Outcome(code: ended ?? -1, stdout: stdout, stderr: stderr, seconds: started.secondsAgo)
  }

  /// A file that is gone when nobody holds it; -1 where it cannot be made.
  private static func unnamedFile() -> Int32 {
    var path = Array("/tmp/lna-XXXXXX".utf8CString)
    let descriptor = mkstemp(&path)
    guard descriptor >= 0 else { return -1 }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    unlink(path)
    return descriptor
  }

  private static func content(of descriptor: Int32) -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = pread(descriptor, &buffer, buffer.count, off_t(bytes.count))
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer.prefix(count)
    }
  }
}

extension ContinuousClock.Instant {
  /// Seconds since then.
  var secondsAgo: Double {
    let passed = ContinuousClock.now - self
    return Double(passed.components.seconds) + Double(passed.components.attoseconds) / 1e18
  }
}

/// Runs a program to its end.
func run(
  _ words: [String], environment: [String: String] = [:], within seconds: Double = 90
) throws -> Outcome {
  try ChildProcess(words, environment: environment).outcome(within: seconds)
}

/// Asks again until something holds, and returns the seconds that took; throws when it does not hold in time.
@discardableResult
func eventually(
  within seconds: Double, every milliseconds: UInt32 = 50, _ what: String, _ holds: () throws -> Bool
) throws -> Double {
  let started = ContinuousClock.now
  while true {
    if try holds() { return started.secondsAgo }
    guard started.secondsAgo < seconds else { throw Trouble("not within \(seconds) s: \(what)") }
    usleep(milliseconds * 1_000)
  }
}

/// The time that a process has had of the processors.
func processorSeconds(of pid: pid_t) throws -> Double {
  let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
  // User and system time, in ticks, are fields 14 and 15; the name before may hold anything.
  let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
  guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { throw Trouble(stat) }
  return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
}

/// Prints what a test measured beside its bound.
func measured(_ what: String, _ value: String, bound: String? = nil) {
  print("  measured: \(what): \(value)" + (bound.map { " (bound: \($0))" } ?? ""))
}

/// Seconds with two decimals.
func text(_ seconds: Double) -> String { "\((seconds * 100).rounded() / 100) s" }
