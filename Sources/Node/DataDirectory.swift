import CLinux
import Foundation
import Glibc
import Primitives

/// A node's directory: held by one daemon at a time, and belonging to one network for ever.
package final class DataDirectory: Sendable {
  /// The path.
  package let path: String
  private let lock: Int32

  /// Makes the directory (0711, so that jobs staged below can be reached by their own users) and locks it.
  ///
  /// A daemon that was killed holds its lock until the last of its threads has ended, which is after it is gone from
  /// the list of processes. So one that holds it now is given 2 s, as 100 pauses of 20 ms, to be one that is ending.
  ///
  /// - Parameter pause: what is done between two looks at the lock. It may block the thread: this comes before all else that a
  ///   daemon or a command does, and the kernel tells nobody when a lock is free but who waits for it without a limit.
  package init(path: String, pause: () -> Void = { usleep(20_000) }) throws(NodeError) {
    self.path = path
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
    } catch {
      throw NodeError(
        .dataDirectory, "the data directory \(path) can't be made",
        suggestion: "make it, or name another with --data-directory", cause: error)
    }
    let descriptor = linnet_open(path + "/lock", O_RDWR | O_CREAT, 0o600)
    guard descriptor >= 0 else {
      throw NodeError(
        .dataDirectory, "the data directory \(path) can't be written (\(String(cString: strerror(-descriptor))))",
        suggestion: "run the daemon as the user that owns it")
    }
    var result = linnet_lock_file(descriptor)
    for _ in 0..<100 where result == -EWOULDBLOCK {
      pause()
      result = linnet_lock_file(descriptor)
    }
    guard result == 0 else {
      close(descriptor)
      throw NodeError(
        .alreadyRunning, "another daemon runs on the data directory \(path), and has not ended within 2 s",
        suggestion: "`linnet status` talks to it; stop it first, or name another directory")
    }
    lock = descriptor
  }

  deinit { close(lock) }

  /// Binds the directory to a network on first use; refuses any other later.
  package func bind(to networkID: Digest) throws(NodeError) {
    guard try !isBound(to: networkID) else { return }
    let file = path + "/network"
    do {
      try DurableFile.write(Array((networkID.description + "\n").utf8), to: file)
    } catch {
      throw NodeError(
        .dataDirectory, "the file \(file) can't be written", suggestion: "check the disk and its permissions",
        cause: error)
    }
  }

  /// Whether the directory is bound; refuses when it is to another network.
  package func isBound(to networkID: Digest) throws(NodeError) -> Bool {
    let file = path + "/network"
    if FileManager.default.fileExists(atPath: file) {
      let text: String
      do { text = try String(contentsOfFile: file, encoding: .utf8) } catch {
        throw NodeError(
          .dataDirectory, "the file \(file), which says what network the directory is of, can't be read",
          suggestion: "run the daemon as the user that owns it", cause: error)
      }
      let known = text.trimmingCharacters(in: .whitespacesAndNewlines)
      guard known == networkID.description else {
        throw NodeError(
          .wrongNetwork,
          "the data directory \(path) belongs to the network \(known.prefix(16)), "
            + "and the genesis is of the network \(networkID.description.prefix(16))",
          suggestion: "use the genesis of that network, or another data directory")
      }
      return true
    }
    return false
  }
}

/// Keeps on disk a mark above every sequence number that is in use, so that none is used twice even when the clock
/// is set back between two runs.
package struct SequenceMark {
  private let path: String
  /// How far ahead of use the mark is kept, in microseconds: how often it is written.
  private static let ahead: UInt64 = 600_000_000
  private var mark: UInt64

  /// The mark of a data directory; 0 when there is none.
  package init(directory: String) {
    path = directory + "/sequence"
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    mark = UInt64(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    floor = mark
  }

  /// No number up to this was left unused by an earlier run.
  package let floor: UInt64

  /// Makes sure that the mark lies ahead of `last`.
  package mutating func reserve(after last: UInt64) throws {
    // A mark that can't be passed any more stays where it is.
    let (half, isPastEnd) = last.addingReportingOverflow(SequenceMark.ahead / 2)
    guard !isPastEnd, half > mark else { return }
    let (sum, isOver) = last.addingReportingOverflow(SequenceMark.ahead)
    let next = isOver ? UInt64.max : sum
    try DurableFile.write(Array("\(next)\n".utf8), to: path)
    mark = next
  }
}
