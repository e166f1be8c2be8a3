import Glibc

/// Why the blob store refused or failed.
package struct BlobError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What went wrong, for programs.
  package enum Code: String, Sendable {
    /// The blob, or a part of it, is not in the store.
    case missing
    /// What is on this disk does not hash to its name.
    case damaged
    /// A received chunk does not belong to the root: whoever sent it is faulty or lies.
    case wrongChunk
    /// A message does not decode.
    case badMessage
    /// A directory's entries do not decode or are not in canonical form.
    case badManifest
    /// A directory names a blob whose size or kind is another.
    case wrongEntry
    /// A file, link or name that a directory cannot hold.
    case unsupportedEntry
    /// The store has no room that it may free.
    case full
    /// Over one of `BlobLimits`, or over what the caller allows.
    case tooLarge
    /// It is there already.
    case exists
    /// Somebody else receives this blob at the moment.
    case busy
    /// Finished or cancelled before.
    case closed
    /// Another process has the store open.
    case locked
    /// The system refused a call.
    case system
  }

  /// What went wrong, for programs.
  package var code: Code
  /// What was tried, what went wrong and what to do next, for a person.
  package var message: String
  /// The `errno` of the failed call below it, if there is one.
  package var errorNumber: Int32?

  package init(_ code: Code, _ message: String, errorNumber: Int32? = nil) {
    self.code = code
    self.message = message
    self.errorNumber = errorNumber
  }

  /// The message and its cause.
  package var description: String {
    errorNumber.map { "\(message): \(String(cString: strerror($0)))" } ?? message
  }

  /// A failed call; `errno` is read here.
  static func system(_ doing: String, _ number: Int32 = errno) -> BlobError {
    BlobError(.system, "\(doing) failed. Check the disk, its free space and the permissions", errorNumber: number)
  }
}
