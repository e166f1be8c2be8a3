import Glibc
import Logging

/// How many files and sockets this process may have open (getrlimit(2), `RLIMIT_NOFILE`).
enum OpenFiles {
  /// What a node may open besides its links: connections being made and accepted, closed ones that are read to the end,
  /// stores, jobs, clients of the control socket.
  private static let besidesLinks = 1_024

  /// Raises the limit as far as the process may by itself, and warns when the links that it is configured for don't fit: a
  /// node that can open no file can't keep its chain, and stops. Programs that it starts get limits of their own.
  static func raiseLimit(links: Int, logger: Logger) {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return }
    if limit.rlim_cur < limit.rlim_max {
      limit.rlim_cur = limit.rlim_max
      if setrlimit(resource, &limit) != 0 { logger.debug("the limit of open files stays: errno \(errno)") }
      guard getrlimit(resource, &limit) == 0 else { return }
    }
    if let problem = problem(links: links, limit: UInt64(limit.rlim_cur)) { logger.warning("\(problem)") }
  }

  /// What is wrong with a limit; nil when nothing is.
  static func problem(links: Int, limit: UInt64) -> String? {
    let needed = UInt64(links + besidesLinks)
    guard limit < needed else { return nil }
    return
      "this process may have \(limit) files and sockets open, and network.maximum_links = \(links) may need \(needed): raise the limit (ulimit -n, LimitNOFILE) or lower the number"
  }
}
