import Foundation
import Logging
import Testing

@testable import Control

@Suite struct SocketTests {
  private func mode(_ path: String) throws -> mode_t {
    var status = stat()
    try #require(stat(path, &status) == 0)
    return status.st_mode & 0o7777
  }

  private func server(at path: String, replaceStale: Bool = true) -> ControlServer {
    ControlServer(
      service: PaperNode(), socketPath: path, replaceStaleSocket: replaceStale,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  /// Leaves the socket of a daemon that was killed.
  private func leaveDeadSocket(at path: String) throws {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    close(descriptor)
    try #require(bound == 0)
  }

  @Test func anEmptyIdIsNoOtherRoute() async {
    let client = ControlClient(socketPath: "/nonexistent/control.sock")
    let error = await #expect(throws: ControlError.self) { _ = try await client.job(id: "") }
    #expect(error?.code == "requestInvalid")
  }

  @Test func modesOfDirectoryAndSocket() async throws {
    try await withServer(PaperNode()) { (_, _, path) async throws in
      let directory = String(path.dropLast("/control.sock".count))
      let modes = (socket: try mode(path), directory: try mode(directory))
      #expect(modes == (0o660, 0o750))
      #expect(ControlSocket.answers(path: path))
    }
  }

  @Test func aPathTooLongIsRefusedByServerAndClient() async throws {
    let path = "/tmp/" + String(repeating: "d", count: 103)
    #expect(path.utf8.count == 108)
    let refusal = await #expect(throws: ControlError.self) { try await server(at: path).run() }
    #expect(refusal?.code == "socketPathTooLong")
    #expect(refusal?.detail.contains("107") == true)
    let other = await #expect(throws: ControlError.self) { try await ControlClient(socketPath: path).status() }
    #expect(other?.code == "socketPathTooLong")
    try ControlSocket.check(path: String(path.dropLast()))
  }

  @Test func aDeadSocketIsReplacedOnlyByWhoMay() async throws {
    let directory = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/control.sock"
    try leaveDeadSocket(at: path)
    #expect(!ControlSocket.answers(path: path))
    let refusal = await #expect(throws: ControlError.self) { try await server(at: path, replaceStale: false).run() }
    #expect(refusal?.code == "socketStale")
    try ControlSocket.prepare(path: path, replaceStale: true)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func aLivingSocketIsNeverReplaced() async throws {
    try await withServer(PaperNode()) { (client, _, path) async throws in
      let refusal = await #expect(throws: ControlError.self) { try await server(at: path).run() }
      #expect(refusal?.code == "socketInUse")
      _ = try await client.status()
    }
  }

  @Test func whatIsNoSocketStays() async throws {
    let directory = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/control.sock"
    try Data("mine".utf8).write(to: URL(filePath: path))
    let refusal = await #expect(throws: ControlError.self) { try await server(at: path).run() }
    #expect(refusal?.code == "socketPathTaken")
    #expect(FileManager.default.contents(atPath: path) == Data("mine".utf8))
  }

  @Test func aDirectoryOpenToAllIsRefused() async throws {
    let directory = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    chmod(directory, 0o777)
    let refusal = await #expect(throws: ControlError.self) { try await server(at: directory + "/s").run() }
    #expect(refusal?.code == "directoryUnsafe")
  }

  @Test func withoutADaemonTheClientSaysWhatToDo() async throws {
    let directory = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/control.sock"
    let none = await #expect(throws: ControlError.self) { try await ControlClient(socketPath: path).status() }
    #expect(none?.code == "noDaemon")
    #expect(none?.detail == "no daemon answers at \(path)")
    #expect(none?.suggestion == "start one with `linnet daemon` or `linnet testnet up`")
    try leaveDeadSocket(at: path)
    let dead = await #expect(throws: ControlError.self) { try await ControlClient(socketPath: path).status() }
    #expect(dead?.code == "noDaemon")
  }
}
