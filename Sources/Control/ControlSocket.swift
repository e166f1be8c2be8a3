import Glibc

/// What a server and a client need to know of a Unix socket's path.
package enum ControlSocket {
  /// `sockaddr_un.sun_path` holds 108 bytes, the last of them NUL.
  package static let maximumPathBytes = 107

  /// Throws `socketPathTooLong` when the kernel could not bind `path`.
  package static func check(path: String) throws {
    guard path.utf8.count <= maximumPathBytes else {
      throw ControlError(
        code: "socketPathTooLong", status: 500, title: "The control socket's path is too long",
        detail: "'\(path)' has \(path.utf8.count) bytes; a Unix socket's path may have \(maximumPathBytes)",
        suggestion: "choose a shorter directory")
    }
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw ControlError(
        code: "socketPathInvalid", status: 500, title: "The control socket's path is not valid",
        detail: "the path is empty or holds a NUL byte")
    }
  }

  /// Whether someone listens on `path`: a connection is opened and closed again.
  package static func answers(path: String) -> Bool {
    guard path.utf8.count <= maximumPathBytes else { return false }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }

  /// Makes the directory of `path` (0750) when it is missing, refuses one where any user could replace the socket, and
  /// sees to what lies at `path`: another daemon's socket and anything that is no socket are refused, a dead one is
  /// removed only with `replaceStale`.
  static func prepare(path: String, replaceStale: Bool) throws {
    try check(path: path)
    let directory = Self.directory(of: path)
    if mkdir(directory, 0o750) == 0 {
      // The umask may have taken the group's bits away.
      chmod(directory, 0o750)
    } else if errno != EEXIST {
      throw failure(
        "directoryUnusable", "cannot make the socket's directory '\(directory)': \(String(cString: strerror(errno)))",
        "check its parent directory and your rights there")
    }
    var status = stat()
    guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw failure("directoryUnusable", "'\(directory)' is not a directory", nil)
    }
    if status.st_mode & S_IWOTH != 0, status.st_mode & S_ISVTX == 0 {
      throw failure(
        "directoryUnsafe", "any user may replace files in '\(directory)'", "chmod o-w \(directory)")
    }
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw failure("socketPathTaken", "'\(path)' exists and is not a socket", "move it away")
    }
    guard !answers(path: path) else {
      throw failure("socketInUse", "another daemon answers at '\(path)'", "stop it, or choose another socket")
    }
    guard replaceStale else {
      throw failure(
        "socketStale", "'\(path)' is left from a daemon that is gone", "remove it when you are sure")
    }
    guard unlink(path) == 0 || errno == ENOENT else {
      throw failure(
        "socketStale", "cannot remove the dead socket '\(path)': \(String(cString: strerror(errno)))", nil)
    }
  }

  private static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func failure(_ code: String, _ detail: String, _ suggestion: String?) -> ControlError {
    ControlError(
      code: code, status: 500, title: "The control socket cannot be opened", detail: detail, suggestion: suggestion)
  }
}
