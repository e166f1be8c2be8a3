import Glibc

/// The Unix socket by which the switch is told its rules.
enum SwitchSocket {
  /// Opens it for listening, in place of one that nobody listens on any more.
  static func listen(at path: String) throws(SwitchError) -> Int32 {
    let descriptor = try open(SOCK_NONBLOCK.rawValue)
    if connects(path) {
      close(descriptor)
      throw SwitchError("a switch is running at \(path) already")
    }
    unlink(path)
    let bound = try address(path) { bind(descriptor, $0, $1) }
    // Root alone steers the network.
    guard bound == 0, chmod(path, 0o600) == 0, Glibc.listen(descriptor, 16) == 0 else {
      let error = errno
      close(descriptor)
      throw SwitchError.system("cannot listen on \(path)", error)
    }
    return descriptor
  }

  /// A connection to the switch.
  static func connect(to path: String) throws(SwitchError) -> Int32 {
    let descriptor = try open(0)
    let status = try address(path) { Glibc.connect(descriptor, $0, $1) }
    guard status == 0 else {
      let error = errno
      close(descriptor)
      throw SwitchError.system("no switch answers at \(path)", error)
    }
    return descriptor
  }

  private static func connects(_ path: String) -> Bool {
    guard let descriptor = try? connect(to: path) else { return false }
    close(descriptor)
    return true
  }

  private static func open(_ flags: UInt32) throws(SwitchError) -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | flags), 0)
    guard descriptor >= 0 else { throw SwitchError.system("no socket", errno) }
    return descriptor
  }

  private static func address(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32)
    throws(SwitchError) -> Int32
  {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw SwitchError("the path is too long for a Unix socket: \(path)")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }
}

/// One who talks to the switch: lines in, lines out, each bounded.
struct SwitchConnection {
  /// The longest request.
  private static let maximumLineBytes = 65_536
  /// How much may wait for one who does not read.
  private static let maximumWaitingBytes = 4_194_304

  let descriptor: Int32
  private var received: [UInt8] = []
  private var waiting: ArraySlice<UInt8> = []

  init(descriptor: Int32) { self.descriptor = descriptor }

  /// Whether answers wait to be sent.
  var isWaiting: Bool { !waiting.isEmpty }

  /// The whole lines that have come; nil when the connection is over.
  mutating func read() -> [ArraySlice<UInt8>]? {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    guard count != 0 else { return nil }
    guard count > 0 else { return errno == EAGAIN || errno == EINTR ? [] : nil }
    received += buffer.prefix(count)
    var lines: [ArraySlice<UInt8>] = []
    while let end = received.firstIndex(of: UInt8(ascii: "\n")) {
      lines.append(received[..<end])
      received = Array(received[(end + 1)...])
    }
    return received.count <= SwitchConnection.maximumLineBytes ? lines : nil
  }

  /// Sends as much as goes, and keeps the rest; false when the connection is over.
  mutating func send(_ bytes: [UInt8]) -> Bool {
    guard waiting.count + bytes.count <= SwitchConnection.maximumWaitingBytes else { return false }
    waiting += bytes
    while !waiting.isEmpty {
      let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
      let count = waiting.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, flags) }
      guard count >= 0 else { return errno == EAGAIN || errno == EINTR }
      waiting = waiting.dropFirst(count)
    }
    return true
  }
}
