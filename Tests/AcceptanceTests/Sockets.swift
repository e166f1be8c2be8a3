import Glibc

/// Raw sockets of the tests, for bytes that no Linnet would send.
enum Sockets {
  private static func address(_ text: String) throws -> sockaddr_in {
    let parts = text.split(separator: ":")
    guard parts.count == 2, let port = UInt16(parts[1]) else { throw Trouble("no address: \(text)") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard inet_pton(AF_INET, String(parts[0]), &address.sin_addr) == 1 else { throw Trouble("no address: \(text)") }
    return address
  }

  private static func with<Result>(
    _ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  /// Sends each as a datagram.
  static func datagrams(_ all: [[UInt8]], to text: String) throws {
    var target = try address(text)
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { throw Trouble("no socket") }
    defer { close(descriptor) }
    for bytes in all {
      let sent = with(&target) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
      guard sent == bytes.count else { throw Trouble("sendto: \(String(cString: strerror(errno)))") }
      // The receiver's buffer must not be what refuses them.
      usleep(200)
    }
  }

  /// Connects, sends, and closes; how many bytes were taken.
  @discardableResult
  static func stream(_ bytes: [UInt8], to text: String) throws -> Int {
    var target = try address(text)
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Trouble("no socket") }
    defer { close(descriptor) }
    guard with(&target, { connect(descriptor, $0, $1) }) == 0 else {
      throw Trouble("connect: \(String(cString: strerror(errno)))")
    }
    return push(bytes, into: descriptor)
  }

  /// The same to a Unix socket; returns what came back.
  static func unix(_ bytes: [UInt8], to path: String) throws -> String {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Trouble("no socket") }
    defer { close(descriptor) }
    var target = sockaddr_un()
    target.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix(107)) }
    let connected = withUnsafePointer(to: &target) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else { throw Trouble("connect \(path): \(String(cString: strerror(errno)))") }
    // A node that refuses a long body does not read it. Its answer is waited for until it closes.
    var sending = timeval(tv_sec: 2, tv_usec: 0)
    var receiving = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &sending, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &receiving, socklen_t(MemoryLayout<timeval>.size))
    _ = push(bytes, into: descriptor)
    shutdown(descriptor, Int32(SHUT_WR))
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0, answer.count < 65_536 else { return String(decoding: answer, as: UTF8.self) }
      answer += buffer.prefix(count)
    }
  }

  private static func push(_ bytes: [UInt8], into descriptor: Int32) -> Int {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      // The node may close in the middle, which is its right.
      guard count > 0 else { break }
      sent += count
    }
    return sent
  }

  /// Takes an address for TCP and UDP until it is closed.
  static func occupy(_ text: String) throws -> [Int32] {
    try [SOCK_STREAM, SOCK_DGRAM].map { kind in
      var target = try address(text)
      let descriptor = socket(AF_INET, Int32(kind.rawValue), 0)
      guard descriptor >= 0, with(&target, { bind(descriptor, $0, $1) }) == 0 else {
        throw Trouble("bind: \(String(cString: strerror(errno)))")
      }
      if kind == SOCK_STREAM { listen(descriptor, 1) }
      return descriptor
    }
  }

  /// Listens to the host's loopback traffic and returns the payloads of datagrams to an address, as they were sent.
  static func overhear(to text: String, count: Int, within seconds: Double) throws -> [[UInt8]] {
    let target = try address(text)
    let everything: UInt16 = 0x0003
    let descriptor = socket(AF_PACKET, Int32(SOCK_DGRAM.rawValue), Int32(everything.bigEndian))
    guard descriptor >= 0 else { throw Trouble("no packet socket: \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var limit = timeval(tv_sec: 0, tv_usec: 200_000)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let wantedIP = withUnsafeBytes(of: target.sin_addr.s_addr) { Array($0) }
    let wantedPort = withUnsafeBytes(of: target.sin_port) { Array($0) }
    var found: [[UInt8]] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let started = ContinuousClock.now
    while found.count < count, started.secondsAgo < seconds {
      let length = recv(descriptor, &buffer, buffer.count, 0)
      guard length > 28, buffer[0] >> 4 == 4, buffer[9] == 17 else { continue }
      let header = Int(buffer[0] & 15) * 4
      guard length > header + 8, Array(buffer[16..<20]) == wantedIP,
        Array(buffer[header + 2..<header + 4]) == wantedPort
      else { continue }
      let payload = Array(buffer[header + 8..<length])
      // The loopback shows each packet twice, going and coming.
      if found.last != payload { found.append(payload) }
    }
    return found
  }
}
