import Foundation
import Logging
import ServiceLifecycle
import Testing

@testable import Control

/// Runs a server on a socket in a fresh directory for as long as `body` runs.
func withServer<Node: ControlService, Answer>(
  _ node: Node, replaceStale: Bool = true,
  _ body: (ControlClient, ControlServer, String) async throws -> Answer
) async throws -> Answer {
  let directory = try temporaryDirectory()
  defer { try? FileManager.default.removeItem(atPath: directory) }
  let path = directory + "/run/control.sock"
  let (running, signal) = AsyncStream<Void>.makeStream()
  let server = ControlServer(
    service: node, socketPath: path, replaceStaleSocket: replaceStale,
    logger: Logger(label: "test") { _ in
      SwiftLogNoOpLogHandler()
    }, onRunning: { signal.finish() })
  let group = ServiceGroup(
    configuration: .init(
      services: [.init(service: server)], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
  let run = Task {
    defer { signal.finish() }
    try await group.run()
  }
  for await _ in running {}
  do {
    let answer = try await body(ControlClient(socketPath: path), server, path)
    await group.triggerGracefulShutdown()
    try await run.value
    #expect(!FileManager.default.fileExists(atPath: path), "the socket outlived its server")
    return answer
  } catch {
    await group.triggerGracefulShutdown()
    try? await run.value
    throw error
  }
}

/// Looks again and again until `condition` holds; the time limit of the suite ends it, as a failure, if it never does.
func eventually(_ condition: () -> Bool) async {
  while !condition(), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(2)) }
}

/// A fresh directory with a short path: Unix sockets bear at most 107 bytes.
func temporaryDirectory() throws -> String {
  var template = Array("/tmp/lnt-XXXXXX".utf8CString)
  let made = try #require(mkdtemp(&template))
  return String(cString: made)
}

/// Sends bytes as they are over the socket and returns all that comes back until the server closes. The blocking calls
/// have a thread of their own: on the tasks' few threads they would keep the server from answering.
func raw(_ path: String, _ bytes: [UInt8]) async throws -> String {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread {
      continuation.resume(with: Result { try exchangeBlocking(path, bytes) })
    }
  }
}

private func exchangeBlocking(_ path: String, _ bytes: [UInt8]) throws -> String {
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  try #require(descriptor >= 0)
  defer { close(descriptor) }
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  let connected = withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
  try #require(connected == 0)
  var sent = 0
  while sent < bytes.count {
    let count = bytes[sent...].withUnsafeBytes {
      send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    if count <= 0 { break }
    sent += count
  }
  shutdown(descriptor, Int32(SHUT_WR))
  var answer: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    if count <= 0 { break }
    answer += buffer[..<count]
  }
  return String(decoding: answer, as: UTF8.self)
}
