import Control
import FoundationEssentials
import Glibc

/// Who reads our output has gone; what `yes | head` ends with.
struct OutputClosed: Error {
  /// 128 + SIGPIPE, as sh(1) says it.
  static let exitCode: Int32 = 141
}

/// The process's own standard streams.
enum Console {
  /// The environment of the process.
  static let environment = ProcessInfo.processInfo.environment
  /// Whether stdout may be coloured.
  static let style = TextStyle(isTerminal: isatty(STDOUT_FILENO) == 1, environment: environment)
  private static let errorStyle = TextStyle(isTerminal: isatty(STDERR_FILENO) == 1, environment: environment)

  /// Writes all of `bytes` to a descriptor; throws `OutputClosed` when nobody reads it.
  static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
        continue
      }
      switch errno {
      case EINTR: continue
      case EAGAIN:
        // Standard streams may have been made non-blocking by whoever shares them.
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&ready, 1, -1)
      case EPIPE: throw OutputClosed()
      default: throw Failure("cannot write the output: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Text on stdout.
  static func print(_ text: String) throws {
    try write(Array(text.utf8), to: STDOUT_FILENO)
  }

  /// JSON on stdout, over several lines.
  static func print(json value: some Encodable) throws {
    try write(try ControlJSON.encode(value, pretty: true) + [UInt8(ascii: "\n")], to: STDOUT_FILENO)
  }

  /// JSON on stdout, as one line of a stream.
  static func print(line value: some Encodable) throws {
    try write(try ControlJSON.encode(value) + [UInt8(ascii: "\n")], to: STDOUT_FILENO)
  }

  /// Text on stderr; there is nobody left to tell when that fails.
  static func error(_ text: String) {
    try? write(Array(text.utf8), to: STDERR_FILENO)
  }

  /// One message on stderr, from us.
  static func complain(_ message: String) {
    error(errorStyle.bad("linnet:") + " \(TextTable.printable(message, keepingLines: true))\n")
  }

  /// A remark on stderr.
  static func remark(_ message: String) {
    error("linnet: \(TextTable.printable(message))\n")
  }
}
