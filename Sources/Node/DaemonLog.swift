import Config
import Control
import Foundation
import Glibc
import Logging
import Synchronization

/// The daemon's log on stderr: a line an event, as text for people or as JSON for programs.
package struct DaemonLog: LogHandler {
  /// What every line of a copy of the logger bears.
  package var metadata: Logger.Metadata = [:]
  /// Shared by all copies of the logger, so that a reload changes them all. A copy may only be made quieter.
  private static let level = Mutex(Logger.Level.info)
  private var ownLevel = Logger.Level.trace
  /// The least severe level that is written.
  package var logLevel: Logger.Level {
    get { max(ownLevel, DaemonLog.level.withLock { $0 }) }
    set { ownLevel = newValue }
  }
  private let label: String
  private let format: NodeConfiguration.LogFormat

  /// The daemon's logger.
  package static func logger(_ section: NodeConfiguration.LogSection) -> Logger {
    setLevel(section.level)
    return Logger(label: "linnet") { DaemonLog(label: $0, format: section.format) }
  }

  /// Sets the least severe level that is written, for every copy of the logger.
  package static func setLevel(_ chosen: NodeConfiguration.LogLevel) {
    level.withLock { $0 = Logger.Level(rawValue: chosen.rawValue) ?? .info }
  }

  private init(label: String, format: NodeConfiguration.LogFormat) {
    self.label = label
    self.format = format
  }

  /// One entry of the metadata.
  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes a line.
  package func log(event: LogEvent) {
    write(level: event.level, message: "\(event.message)", extra: event.metadata ?? [:])
  }

  private func write(level: Logger.Level, message: String, extra: Logger.Metadata) {
    let all = metadata.merging(extra) { $1 }.sorted { $0.key < $1.key }
    let time = WallTime(microsecondsSinceEpoch: Int64(Date().timeIntervalSince1970 * 1_000_000)).description
    var line: String
    switch format {
    case .text:
      // A peer's text may be in a message: it must not move the cursor or add lines.
      line = "\(time) \(level.rawValue) \(TextTable.printable(message))"
      for (key, value) in all { line += " \(key)=\(TextTable.printable("\(value)"))" }
    case .json:
      var fields = ["time": time, "level": level.rawValue, "message": message, "label": label]
      for (key, value) in all { fields[key] = "\(value)" }
      let encoded = (try? JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys])) ?? Data()
      line = String(decoding: encoded, as: UTF8.self)
    }
    line += "\n"
    // One write a line, so that lines of several threads do not mix.
    let bytes = Array(line.utf8)
    _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
  }
}
