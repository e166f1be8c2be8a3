import Glibc

/// Why the switch cannot be made, reached or told something.
package struct SwitchError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What was tried and what went wrong.
  package let description: String

  /// A failure.
  package init(_ description: String) { self.description = description }

  /// A failed system call; the code as `-errno` of CLinux or as `errno`.
  static func system(_ what: String, _ code: Int32) -> SwitchError {
    SwitchError("\(what): \(String(cString: strerror(abs(code))))")
  }
}
