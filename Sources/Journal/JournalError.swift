/// Why the journal or the block store refused or failed.
package struct JournalError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What went wrong, for programs.
  package enum Code: String, Sendable {
    /// The disk refused a call; final for a writer that is open.
    case disk
    /// Another process has the directory open.
    case locked
    /// The files belong to another network.
    case wrongNetwork
    /// The files were written by a format that this version does not know.
    case unknownFormat
    /// A file is damaged in its middle.
    case damaged
    /// The caller asked to write something over the bound.
    case tooLarge
    /// Too many bytes wait to be written.
    case queueFull
    /// It was closed before.
    case closed
    /// A block's height does not follow the last one.
    case heightOutOfOrder
  }

  /// What went wrong, for programs.
  package var code: Code
  /// What was tried, what went wrong and what to do next, for a person.
  package var message: String
  /// The failed call below it, if there is one.
  package var cause: DiskFailure?

  init(_ code: Code, _ message: String, cause: DiskFailure? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message and its cause.
  package var description: String {
    cause.map { "\(message) (\($0))" } ?? message
  }

  static func disk(_ doing: String, _ failure: DiskFailure) -> JournalError {
    JournalError(
      .disk, "\(doing) failed. Check the disk and its free space, then start the daemon again.", cause: failure)
  }

  static func locked(_ directory: String, _ failure: DiskFailure) -> JournalError {
    JournalError(
      .locked,
      "\(directory) is in use by another process. Stop the other daemon or give this one its own data directory.",
      cause: failure)
  }

  static func wrongNetwork(_ path: String) -> JournalError {
    JournalError(
      .wrongNetwork,
      "\(path) belongs to another network than the genesis in use. "
        + "Use the data directory of this network, or move the old one away.")
  }

  static func unknownFormat(_ path: String, _ version: UInt32) -> JournalError {
    JournalError(
      .unknownFormat,
      "\(path) has format version \(version), which this version of linnet does not read. "
        + "Use the version that wrote it.")
  }
}
