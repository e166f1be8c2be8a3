import Foundation
import Glibc

/// The control API of a node over one connection, for tests that ask thousands of times. A node that does not answer is
/// no failure here: it may have been killed.
final class NodeConnection {
  struct Answer {
    var status: Int
    var body: [UInt8]
  }

  private let path: String
  private var descriptor: Int32 = -1
  private var pending: [UInt8] = []
  /// True when an answer is to come that nobody waits for.
  private var isStale = false

  init(socket path: String) { self.path = path }

  deinit { disconnect() }

  private func disconnect() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    pending = []
    isStale = false
  }

  /// What a route answers; nil when no node does.
  func ask(_ method: String, _ route: String, _ body: String = "", seconds: Int = 60) -> Answer? {
    if isStale { disconnect() }
    // A connection that the node closed meanwhile is found out by the first use.
    for attempt in 0..<2 {
      let isFresh = descriptor < 0
      guard connect(seconds: seconds) else { return nil }
      let request =
        "\(method) \(route) HTTP/1.1\r\nHost: linnet\r\nContent-Type: application/json\r\n"
        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
      if send(Array(request.utf8)), let answer = receive() { return answer }
      disconnect()
      // What changes something is not sent again: the node may have done it.
      if isFresh || attempt == 1 || method != "GET" { return nil }
    }
    return nil
  }

  /// Sends a request and does not wait for its answer, which nobody will read.
  func post(_ route: String, _ body: String) -> Bool {
    disconnect()
    guard connect(seconds: 1) else { return false }
    let request =
      "POST \(route) HTTP/1.1\r\nHost: linnet\r\nContent-Type: application/json\r\n"
      + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    isStale = true
    return send(Array(request.utf8))
  }

  /// The JSON that a route answers; nil when there is no answer or it is a problem.
  func json<Value: Decodable>(_ type: Value.Type, _ route: String) throws -> Value? {
    guard let answer = ask("GET", route), answer.status == 200 else { return nil }
    do { return try JSONDecoder().decode(type, from: Data(answer.body)) } catch {
      throw Trouble(
        "\(type) is not what docs/control-api.md says: \(error)\n\(String(decoding: answer.body, as: UTF8.self))")
    }
  }

  private func connect(seconds: Int) -> Bool {
    let isNew = descriptor < 0
    if isNew { descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0) }
    guard descriptor >= 0 else { return false }
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    // A node that does not run takes no connection either, once its queue is full.
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    guard isNew else { return true }
    var target = sockaddr_un()
    target.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix(107)) }
    let status = withUnsafePointer(to: &target) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if status != 0 { disconnect() }
    return status == 0
  }

  private func send(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  private func more() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    guard count > 0 else { return false }
    pending += buffer.prefix(count)
    return true
  }

  /// Reads one answer, whose length its head tells.
  private func receive() -> Answer? {
    var end: Int?
    var from = 0
    while end == nil {
      while from + 4 <= pending.count, end == nil {
        if pending[from] == 13, pending[from + 1] == 10, pending[from + 2] == 13, pending[from + 3] == 10 {
          end = from
        } else {
          from += 1
        }
      }
      if end == nil, !more() { return nil }
    }
    guard let end else { return nil }
    let lines = String(decoding: pending[..<end], as: UTF8.self).split(separator: "\r\n")
    let words = lines.first?.split(separator: " ") ?? []
    guard words.count >= 2, let status = Int(words[1]) else { return nil }
    let lengths = lines.compactMap { line -> Int? in
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].lowercased() == "content-length" else { return nil }
      return Int(parts[1].trimmingCharacters(in: .whitespaces))
    }
    guard let length = lengths.first else { return nil }
    while pending.count < end + 4 + length { guard more() else { return nil } }
    let body = Array(pending[(end + 4)..<(end + 4 + length)])
    pending.removeFirst(end + 4 + length)
    return Answer(status: status, body: body)
  }
}
