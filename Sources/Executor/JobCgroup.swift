import Glibc

/// The cgroup of a job whose shim is gone, and which the daemon must end itself.
struct JobCgroup {
  let directories: [String]

  /// Kills what is in it, until nothing is or a second has passed, and removes it. Blocks that long.
  func destroy() {
    for _ in 0..<200 {
      var busy = false
      for directory in directories where access(directory, F_OK) == 0 {
        kill(directory)
        if rmdir(directory) < 0, errno != ENOENT { busy = true }
      }
      guard busy else { return }
      usleep(5000)
    }
  }

  private func kill(_ directory: String) {
    let file = open("\(directory)/cgroup.kill", O_WRONLY | O_CLOEXEC)
    if file >= 0 {
      defer { close(file) }
      if write(file, "1", 1) == 1 { return }
    }
    let members = FileAccess.text("\(directory)/cgroup.procs") ?? ""
    for pid in members.split(separator: "\n").compactMap({ Int32($0) }) where pid > 1 {
      Glibc.kill(pid, SIGKILL)
    }
  }

  /// Names of an executor's cgroups: several daemons share a host, and each must end its own only.
  static func prefix(_ executorDirectory: String) -> String {
    // FNV-1a: a name, not a secret.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in executorDirectory.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    let digits = String(hash, radix: 16)
    return "linnet-" + String(repeating: "0", count: 16 - digits.count) + digits + "-"
  }
}
