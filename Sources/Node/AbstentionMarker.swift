import Foundation

/// A file beside the journal that says: votes of this key may be lost, so it must not vote. It outlives restarts,
/// since the journal that is begun in place of a lost one would be whole the next time.
struct AbstentionMarker {
  private let path: String

  /// The marker of a chain directory.
  init(directory: String) { path = directory + "/abstain" }

  /// Why the node must not vote; nil when nothing stands against it.
  var reason: String? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
    return trimmed.isEmpty ? "an earlier run found that votes may be lost" : trimmed
  }

  /// Writes the marker; it is on the disk when this returns. The first reason stays.
  func write(_ reason: String) throws {
    guard self.reason == nil else { return }
    try DurableFile.write(Array((reason + "\n").utf8), to: path)
  }
}
