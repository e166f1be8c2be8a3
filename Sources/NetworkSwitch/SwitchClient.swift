import CLinux
import Glibc

/// Tells a running switch its rules.
package struct SwitchClient: Sendable {
  private static let answerSeconds = 30

  /// The switch's socket.
  package let socketPath: String

  /// A client of the switch at a socket.
  package init(socketPath: String) { self.socketPath = socketPath }

  /// The state after the request; throws what the switch refused it with.
  package func ask(_ request: SwitchRequest = SwitchRequest()) throws(SwitchError) -> SwitchState {
    let descriptor = try SwitchSocket.connect(to: socketPath)
    defer { close(descriptor) }
    let answer = try exchange(request, over: descriptor)
    if let error = answer.error { throw SwitchError(error) }
    guard let state = answer.state else { throw SwitchError("the switch at \(socketPath) answered nothing") }
    return state
  }

  /// The switch's process; nil when none answers.
  package var processID: pid_t? {
    guard let descriptor = try? SwitchSocket.connect(to: socketPath) else { return nil }
    defer { close(descriptor) }
    let id = linnet_peer_process(descriptor)
    return id > 0 ? id : nil
  }

  private func exchange(_ request: SwitchRequest, over descriptor: Int32) throws(SwitchError) -> SwitchAnswer {
    var limit = timeval(tv_sec: SwitchClient.answerSeconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var rest = try SwitchJSON.line(request)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { throw SwitchError.system("the switch at \(socketPath) does not listen", errno) }
      rest = rest.dropFirst(count)
    }
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while line.last != UInt8(ascii: "\n") {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else {
        throw SwitchError("the switch at \(socketPath) ended or does not answer within \(SwitchClient.answerSeconds) s")
      }
      line += buffer.prefix(count)
    }
    return try SwitchJSON.decode(SwitchAnswer.self, line)
  }
}
