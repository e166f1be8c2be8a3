import CLinux
import Foundation

/// A running shim, named so that a recycled pid is never taken for it.
struct ShimIdentity: Codable, Equatable {
  var lease: String
  var pid: Int32
  /// Clock ticks since boot, from `/proc/<pid>/stat`.
  var startTime: UInt64
  var bootID: String
  /// The job's cgroup in each hierarchy. A daemon that comes back may itself be in another group by then.
  var cgroups: [String]

  static func read(_ directory: JobDirectory) -> ShimIdentity? {
    guard let bytes = FileAccess.read("\(directory.path)/shim.json") else { return nil }
    return try? JSONDecoder().decode(ShimIdentity.self, from: Data(bytes))
  }

  /// Whether the process with this pid is the one that was recorded.
  func isAlive() -> Bool { bootID == Self.bootID() && startTime == Self.startTime(pid) }

  static func bootID() -> String {
    (FileAccess.text("/proc/sys/kernel/random/boot_id") ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Field 22, counted after the command's name, which may hold spaces and parentheses.
  static func startTime(_ pid: Int32) -> UInt64? {
    guard let text = FileAccess.text("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > 19 ? UInt64(fields[19]) : nil
  }
}

enum ShimProcess {
  /// Starts a shim. It owns the job from here on; the lock of the job's user goes to it as descriptor 3.
  static func spawn(_ executable: String, directory: String, lock: Int32?) throws(ExecutorError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "\(directory)/shim.log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    if let lock {
      posix_spawn_file_actions_adddup2(&actions, lock, 3)
    } else {
      // The shim takes what it finds at 3 for the lock and keeps it.
      posix_spawn_file_actions_addopen(&actions, 3, "/dev/null", O_RDONLY, 0)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A cancellation may arrive before the shim can take it: blocked, it waits.
    var blocked = sigset_t()
    sigemptyset(&blocked)
    sigaddset(&blocked, SIGTERM)
    sigaddset(&blocked, SIGQUIT)
    posix_spawnattr_setsigmask(&attributes, &blocked)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))

    // The daemon's environment may hold what a job must not see; where libraries lie is all that the shim needs.
    var environment = ["PATH=\(SandboxOptions.searchPath)"]
    if let libraries = getenv("LD_LIBRARY_PATH") { environment.append("LD_LIBRARY_PATH=" + String(cString: libraries)) }
    let arguments = ["linnet", "job-shim", directory]
    var pid: pid_t = 0
    let result = withCStrings(arguments) { argv in
      withCStrings(environment) { envp in posix_spawn(&pid, executable, &actions, &attributes, argv, envp) }
    }
    guard result == 0 else {
      throw ExecutorError(
        .spawn, "cannot start the job's supervisor \(executable)", cause: String(cString: strerror(result)))
    }
    return pid
  }

  private static func withCStrings<Value>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Value
  ) -> Value {
    let pointers = strings.map { strdup($0) }
    defer { pointers.forEach { free($0) } }
    return body(pointers + [nil])
  }
}
