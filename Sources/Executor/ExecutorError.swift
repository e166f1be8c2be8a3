/// Why the executor could not do what it was asked: a code for programs, a message for people, and the cause.
package struct ExecutorError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure it is.
  package enum Code: String, Sendable {
    /// The job's description breaks a bound or names what cannot be.
    case invalidJob
    /// A job with this lease has been started here before.
    case duplicateLease
    /// No job with this lease is known here.
    case unknownLease
    /// The job has not ended yet.
    case stillRunning
    /// As many jobs run as the configuration allows, or no job user is free.
    case tooManyJobs
    /// A program or kernel feature that the sandbox needs is not there.
    case missingTool
    /// An input cannot be read by the job.
    case unreadableInput
    /// A file or directory of the executor could not be read or written.
    case storage
    /// The shim could not be started or watched.
    case spawn
    /// The sandbox's own test failed.
    case selfTest
  }

  /// What kind of failure it is.
  package let code: Code
  /// What was tried, what went wrong, what to do next.
  package let message: String
  /// The error below, where there is one, in words.
  package let cause: String?

  /// An error with its code, a message for a person and what caused it.
  package init(_ code: Code, _ message: String, cause: String? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// Message and cause in one line.
  package var description: String {
    guard let cause else { return message }
    return "\(message): \(cause)"
  }
}
