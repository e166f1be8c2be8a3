import Glibc

/// Files of the host below a root. Kernel files lie about their size, so they are read up to a bound.
struct HostFiles: Sendable {
  /// Most bytes read of a file: `/proc/cpuinfo` of a host with 1000 threads has about one MiB.
  static let maximumFileBytes = 8 << 20
  /// Most entries listed of a directory.
  static let maximumEntries = 4096

  private let root: String

  init(root: String) {
    self.root = root.hasSuffix("/") ? String(root.dropLast()) : root
  }

  /// The path on this host of a path below the root.
  func location(_ path: String) -> String { root + path }

  enum Outcome {
    case text(String)
    case failure(String)
  }

  /// The text of a file, or why it could not be read.
  func read(_ path: String) -> Outcome {
    let descriptor = open(location(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return .failure("\(path): \(Self.reason(errno))") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while bytes.count < Self.maximumFileBytes {
      let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return .failure("\(path): \(Self.reason(errno))") }
      guard count > 0 else { break }
      bytes += buffer[..<count]
    }
    return .text(String(decoding: bytes, as: UTF8.self))
  }

  /// The text of a file, if it can be read.
  func text(_ path: String) -> String? {
    if case .text(let text) = read(path) { return text }
    return nil
  }

  /// The first line of a file without blanks at its ends or control characters, for firmware tables hold what a
  /// maker typed; nil when there is none.
  func line(_ path: String) -> String? {
    guard let first = text(path)?.split(whereSeparator: \.isNewline).first else { return nil }
    let line = String(String.UnicodeScalarView(first.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }))
      .trimmed
    return line.isEmpty ? nil : line
  }

  /// A file that holds one number, decimal or with `0x`.
  func number(_ path: String) -> UInt64? {
    guard let line = line(path) else { return nil }
    return line.hasPrefix("0x") ? UInt64(line.dropFirst(2), radix: 16) : UInt64(line)
  }

  /// The names in a directory, sorted; empty when it cannot be read.
  func list(_ path: String) -> [String] {
    guard let directory = opendir(location(path)) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while names.count < Self.maximumEntries, let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Whether something is at the path.
  func exists(_ path: String) -> Bool { access(location(path), F_OK) == 0 }

  /// The last component of what a link points to.
  func linkName(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(location(path), &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: "/").last
      .map(String.init)
  }

  static func reason(_ code: Int32) -> String { strerror(code).map { String(cString: $0) } ?? "error \(code)" }
}

extension StringProtocol {
  /// Without blanks at both ends.
  var trimmed: String {
    let front = drop { $0.isWhitespace }
    guard let last = front.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(front[...last])
  }

  /// `key<separator>value`, both trimmed; nil without the separator.
  func pair(_ separator: Character) -> (key: String, value: String)? {
    guard let index = firstIndex(of: separator) else { return nil }
    return (self[..<index].trimmed, self[self.index(after: index)...].trimmed)
  }
}
