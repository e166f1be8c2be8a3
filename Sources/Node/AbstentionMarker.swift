import Foundation
import Glibc

/// A file beside the journal that says: votes of this key may be lost, so it must not vote in any epoch in which it may
/// have voted. It outlives restarts, since the journal that is begun in place of a lost one would be whole the next
/// time.
///
/// Votes are bound to their epoch. Whoever lost some before a moment may vote again in an epoch that began after it: one
/// whose boundary block, the last of the epoch before, has a later timestamp.
package struct AbstentionMarker {
  /// Added to the moment of discovery: a block's timestamp may be ahead of this host's clock, and the clock behind.
  package static let marginMilliseconds: UInt64 = 10_000

  /// Why, and until when.
  package struct Abstention: Equatable, Sendable {
    /// Why the node must not vote.
    package var reason: String
    /// Milliseconds since 1970: the epochs whose boundary block has a later timestamp are open again. The highest value
    /// while that is not known yet.
    package var untilMilliseconds: UInt64
  }

  private static let untilLabel = "until milliseconds: "
  private let path: String

  /// The marker of a chain directory.
  package init(directory: String) { path = directory + "/abstain" }

  /// Why the node must not vote, and until when; nil when nothing stands against it.
  package var abstention: Abstention? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    var lines = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    var until: UInt64?
    if let last = lines.last, last.hasPrefix(AbstentionMarker.untilLabel) {
      until = UInt64(last.dropFirst(AbstentionMarker.untilLabel.count))
      lines.removeLast()
    }
    let reason = lines.joined(separator: " ")
    return Abstention(
      reason: reason.isEmpty ? "an earlier run found that votes may be lost" : reason,
      untilMilliseconds: until ?? writtenMilliseconds)
  }

  /// What a marker of the older format means, which has no time of its own: it was written when the loss was found.
  private var writtenMilliseconds: UInt64 {
    var status = stat()
    guard stat(path, &status) == 0 else { return AbstentionMarker.after(AbstentionMarker.now()) }
    return AbstentionMarker.after(UInt64(max(0, status.st_mtim.tv_sec)) * 1_000 + 1_000)
  }

  /// Writes the marker; it is on the disk when this returns. The first reason stays. The end is left open until
  /// `settle`: a crash in between must not leave one that was set by a clock alone.
  package func write(_ reason: String) throws {
    let line = abstention?.reason ?? reason.split(whereSeparator: \.isNewline).joined(separator: " ")
    try write(line, untilMilliseconds: .max)
  }

  /// Sets the end of an abstention that has none yet: after now, and after the last block that is known here.
  package func settle(tipMilliseconds: UInt64, nowMilliseconds: UInt64 = now()) throws {
    guard let known = abstention, known.untilMilliseconds == .max else { return }
    try write(known.reason, untilMilliseconds: AbstentionMarker.after(max(tipMilliseconds, nowMilliseconds)))
  }

  private func write(_ line: String, untilMilliseconds: UInt64) throws {
    try DurableFile.write(Array("\(line)\n\(AbstentionMarker.untilLabel)\(untilMilliseconds)\n".utf8), to: path)
  }

  /// Removes the marker: voting is allowed again, in the epoch that began after it. It is gone from the disk when this
  /// returns.
  package func clear() throws(NodeError) {
    guard FileManager.default.fileExists(atPath: path) else { return }
    do {
      try FileManager.default.removeItem(atPath: path)
      try DurableFile.syncDirectory(of: path)
    } catch {
      throw NodeError(
        .storage, "the file \(path) can't be removed", suggestion: "check the permissions of its directory",
        cause: error)
    }
  }

  private static func after(_ milliseconds: UInt64) -> UInt64 {
    let (sum, overflow) = milliseconds.addingReportingOverflow(marginMilliseconds)
    return overflow ? .max : sum
  }

  /// The wall clock, in milliseconds since 1970.
  package static func now() -> UInt64 { UInt64(max(0, Date().timeIntervalSince1970 * 1_000)) }
}
