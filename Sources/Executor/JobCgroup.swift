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

  /// What the names of an executor's cgroups begin with: several daemons share a host, and each must end its own only.
  ///
  /// The directory's device and inode, not its path: hosts that are mount namespaces of one kernel call different
  /// directories by one path, and share the cgroups.
  ///
  /// - Throws: `storage` when the directory can't be looked at.
  static func prefix(_ executorDirectory: String) throws(ExecutorError) -> String {
    let (device, inode) = try FileAccess.identity(of: executorDirectory)
    return "linnet-\(String(device, radix: 16))-\(String(inode, radix: 16))-"
  }
}
