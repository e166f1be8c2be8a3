import Foundation
import Testing

@testable import LinkProtocol

/// A session against HashiCorp's implementation over a real connection: 100 streams at once, both ways, half of the readers
/// slow on each side. Skipped where Go or its package is not installed, unless nothing may be skipped.
///
/// A stream carries 640 KiB each way, more than twice its window; `make interop` lets it carry 10 MiB, a gigabyte in all
/// each way.
@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: GoPeer.isPossible)) struct YamuxInteropTests {
  static let streamCount = 100
  static let byteCount =
    ProcessInfo.processInfo.environment["LINNET_INTEROP_STREAM_KIB"].flatMap { Int($0) }.map { $0 * 1_024 }
    ?? 640 * 1_024

  @Test(arguments: [YamuxSession.Role.client, .server]) func manyStreamsBothWays(role: YamuxSession.Role) throws {
    let listener = try LoopbackListener()
    let started = ContinuousClock.now
    let peer = try GoPeer([
      role == .client ? "server" : "client", "\(listener.port)", "\(Self.streamCount)", "\(Self.byteCount)",
    ])
    var socket = try YamuxSocket(
      try listener.accept(), role: role, streamCount: Self.streamCount, byteCount: Self.byteCount)
    do {
      try socket.carry(streamCount: Self.streamCount) { !peer.isRunning }
    } catch {
      Issue.record("\(error); \(peer.errors)")
      return
    }
    #expect(socket.pongs == [77])
    // The windows ran empty on both sides; else this shows little.
    #expect(socket.stalls.sending > 0 && socket.stalls.receiving > 0, "\(socket.stalls)")
    try socket.close { peer.output.contains("ok\n") || !peer.isRunning }
    peer.waitUntilExit()
    #expect(peer.output == "ok\n" && peer.status == 0, "\(peer.errors)")
    let megabytes = 2 * Self.streamCount * Self.byteCount / 1_000_000
    print("measured: \(megabytes) MB with Go as the other side of a \(role) in \(ContinuousClock.now - started)")
  }
}

/// A socket that listens on a loopback port of its own.
private final class LoopbackListener {
  private let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
  private(set) var port: UInt16 = 0

  init() throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, length)
        _ = getsockname(descriptor, $0, &length)
      }
    }
    port = UInt16(bigEndian: address.sin_port)
    try #require(port != 0 && listen(descriptor, 1) == 0)
  }

  deinit { close(descriptor) }

  /// The next connection.
  func accept() throws -> CInt {
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    try #require(Glibc.poll(&poll, 1, 60_000) == 1, "nobody connects")
    return Glibc.accept(descriptor, nil, nil)
  }
}

/// A process that runs `yamux_peer.go`.
private final class GoPeer {
  private static let source = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "yamux_peer.go")
  private static let compiler = "/usr/bin/go"
  private static let packages = "/usr/share/gocode"

  /// True when what it needs is there, or when it has to be.
  static let isPossible: Bool = {
    if ProcessInfo.processInfo.environment["LINNET_REQUIRE_ALL"] != nil { return true }
    return FileManager.default.isExecutableFile(atPath: compiler)
      && FileManager.default.fileExists(atPath: packages + "/src/github.com/hashicorp/yamux/session.go")
  }()

  private let folder = FileManager.default.temporaryDirectory.appending(path: "linnet-go-\(UUID().uuidString)")
  private let process = Process()

  init(_ arguments: [String]) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for name in ["out", "err"] { try Data().write(to: folder.appending(path: name)) }
    process.executableURL = try build()
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: folder.appending(path: "out"))
    process.standardError = try FileHandle(forWritingTo: folder.appending(path: "err"))
    try process.run()
  }

  deinit {
    if process.isRunning { process.terminate() }
    try? FileManager.default.removeItem(at: folder)
  }

  private func build() throws -> URL {
    let program = folder.appending(path: "yamux_peer")
    let build = Process()
    build.executableURL = URL(filePath: GoPeer.compiler)
    build.arguments = ["build", "-o", program.path, GoPeer.source.path]
    var environment = ProcessInfo.processInfo.environment
    environment["GO111MODULE"] = "off"
    environment["GOPATH"] = GoPeer.packages
    if environment["HOME"] == nil { environment["GOCACHE"] = folder.appending(path: "cache").path }
    build.environment = environment
    try build.run()
    build.waitUntilExit()
    try #require(build.terminationStatus == 0, "needs golang-go and golang-github-hashicorp-yamux-dev")
    return program
  }

  var isRunning: Bool { process.isRunning }
  var status: CInt { process.terminationStatus }
  var output: String { text("out") }
  var errors: String { text("err") }
  func waitUntilExit() { process.waitUntilExit() }

  private func text(_ name: String) -> String {
    String(decoding: (try? Data(contentsOf: folder.appending(path: name))) ?? Data(), as: UTF8.self)
  }
}
