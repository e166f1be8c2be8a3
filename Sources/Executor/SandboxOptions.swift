import Glibc

/// How jobs are kept away from the host.
package enum SandboxMode: String, Sendable {
  /// The daemon is root: no user namespace, and each job under a user id of its own.
  case root
  /// The daemon is an ordinary user: a user namespace, in which the job has the daemon's own user id.
  case user
}

/// The sandbox as bubblewrap takes it: the options, which go through a file so that no process list shows host
/// paths, and the command with what drops its privileges.
struct SandboxOptions {
  var options: [String]
  var command: [String]

  static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// - Parameters:
  ///   - userID: the job's own, or nil in user mode.
  ///   - hasCgroup: without one the number of processes is a resource limit.
  init(_ run: JobRun, directory: String, mode: SandboxMode, userID: UInt32?, hasCgroup: Bool) {
    // Both count towards the memory limit; half of it leaves the command something to run in.
    let scratch = "\(max(run.memoryBytes / 2, 1 << 20))"
    var options = [
      "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try",
      "--hostname", "linnet-job", "--die-with-parent", "--new-session", "--clearenv",
    ]
    switch mode {
    case .root:
      // With a user namespace root's sandbox would still be root outside; see execution.md.
      options += [
        "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP",
      ]
    case .user:
      options += ["--unshare-user", "--cap-drop", "ALL"]
    }
    options += Self.system()
    options += ["--perms", "0755", "--dir", "/etc"]
    for name in ["passwd", "group", "hosts", "nsswitch.conf"] {
      options += ["--ro-bind", "\(directory)/etc/\(name)", "/etc/\(name)"]
    }
    options += [
      "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try", "/etc/alternatives",
      "/etc/alternatives",
      "--proc", "/proc", "--dev", "/dev",
    ]
    options += Self.devices(run.gpus)
    options += [
      "--perms", "1777", "--size", scratch, "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
      "--perms", "1777", "--size", scratch, "--tmpfs", "/tmp",
      "--perms", "0755", "--dir", "/in",
    ]
    for input in run.inputs { options += ["--ro-bind", input.hostPath, "/in/\(input.name)"] }
    options += ["--bind", "\(directory)/out", "/out", "--chdir", "/out", "--remount-ro", "/"]
    var environment = [("PATH", Self.searchPath), ("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("TMPDIR", "/tmp")]
    environment += run.environment.map { ($0.name, $0.value) }
    environment += [("LINNET_JOB", run.jobID), ("LINNET_LEASE", run.leaseID)]
    for (name, value) in environment { options += ["--setenv", name, value] }
    self.options = options

    var command = ["--"]
    if !hasCgroup { command += ["/usr/bin/prlimit", "--nproc=\(run.pidsLimit):\(run.pidsLimit)", "--"] }
    command.append("/usr/bin/setpriv")
    if let userID {
      command += [
        "--reuid", "\(userID)", "--regid", "\(userID)", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
      ]
    }
    self.command = command + ["--no-new-privs", "--"] + run.command
  }

  /// `/usr` and what of the root is part of it: links on a merged system, directories on others.
  private static func system() -> [String] {
    var options = ["--ro-bind", "/usr", "/usr"]
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
      var status = stat()
      guard lstat("/\(name)", &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFLNK {
        options += ["--symlink", "usr/\(name)", "/\(name)"]
      } else {
        options += ["--ro-bind", "/\(name)", "/\(name)"]
      }
    }
    return options
  }

  /// The leased device nodes only. NVIDIA's driver also needs its control nodes and sysfs.
  private static func devices(_ gpus: [String]) -> [String] {
    guard !gpus.isEmpty else { return [] }
    var options = ["--ro-bind", "/sys", "/sys"]
    var shared: [String] = []
    if gpus.contains(where: { $0.hasPrefix("/dev/nvidia") }) {
      shared = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
    }
    for path in shared where !gpus.contains(path) { options += ["--dev-bind-try", path, path] }
    for path in gpus { options += ["--dev-bind", path, path] }
    return options
  }
}
