import Glibc

/// Why a key file was not read or written.
package struct KeyFileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What a program tells failures apart by.
  package enum Code: String, Sendable {
    /// No file at the path.
    case missing
    /// A file is there already; it is never replaced.
    case exists
    /// Not a regular file.
    case notAFile
    /// Owned by another user than the one who runs this.
    case wrongOwner
    /// Group or world can reach it.
    case exposed
    /// Not the one line that a key file is, or its checksum does not fit.
    case malformed
    /// The operating system refused; `cause` says why.
    case inputOutput
  }

  /// The code.
  package var code: Code
  /// The file.
  package var path: String
  /// What was tried, what went wrong, and what to do next.
  package var message: String
  /// The operating system's reason, if it gave one.
  package var cause: String?

  init(_ code: Code, path: String, _ message: String, errno number: CInt? = nil) {
    self.code = code
    self.path = path
    cause = number.map { String(cString: strerror($0)) }
    self.message = cause.map { "\(message): \($0)." } ?? message
  }

  /// The message with its code.
  package var description: String { "\(message) [\(code.rawValue)]" }
}
