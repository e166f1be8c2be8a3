import Foundation
import Primitives
import Sodium
import Testing
import Wire

@testable import Transport

/// An endpoint against an implementation that shares nothing with it: `noise_peer.py`, with dissononce and PyNaCl.
/// Skipped where these are not installed, unless nothing may be skipped.
@Suite(.timeLimit(.minutes(2)), .enabled(if: PythonPeer.isPossible)) struct LinkInteropTests {
  @Test func aForeignInitiator() async throws {
    let echo = try await EchoNode()
    let peer = try PythonPeer(
      ["initiator", "\(echo.node.address.port)", Hex.encode(testNetwork.bytes), Hex.encode(echo.node.id.bytes)])
    try await echo.expectConversation(with: peer)
    #expect(echo.node.log.ups.map(\.direction) == [.inbound])
    await echo.node.endpoint.shutdown()
  }

  @Test func aForeignResponder() async throws {
    let echo = try await EchoNode()
    // It cannot be known who answers: the foreign side makes its key as it starts.
    let peer = try PythonPeer(["responder", Hex.encode(testNetwork.bytes), Hex.encode(echo.node.id.bytes)])
    await eventually { peer.lines.count == 1 || !peer.isRunning }
    let port = try #require(peer.lines.first.flatMap { UInt16($0) }, "\(peer.errors)")
    echo.node.endpoint.dial(try #require(PeerAddress(text: "127.0.0.1:\(port)")), expecting: nil)
    try await echo.expectConversation(with: peer)
    #expect(echo.node.log.ups.map(\.direction) == [.outbound])
    await echo.node.endpoint.shutdown()
  }

  // What the foreign side finds fault with, it says: so the tests above can fail.
  @Test func aForeignInitiatorKnowsAnotherNodeFromTheOneItWants() async throws {
    let echo = try await EchoNode()
    let other = try SigningKey.generate()
    let peer = try PythonPeer(
      ["initiator", "\(echo.node.address.port)", Hex.encode(testNetwork.bytes), Hex.encode(other.id.bytes)])
    await eventually { !peer.isRunning }
    #expect(peer.errors.contains("another node"))
    #expect(echo.node.log.ups.isEmpty)
    await echo.node.endpoint.shutdown()
  }
}

/// A node that sends each frame back with its bytes reversed, and renews its key often.
private struct EchoNode {
  let node: TestNode

  init() async throws {
    node = try await TestNode { $0.rekeyMessages = 3 }
  }

  func expectConversation(with peer: PythonPeer) async throws {
    var answered = 0
    await eventually {
      let events = node.log.all
      for case .received(let id, let channel, let bytes) in events[answered...] {
        node.endpoint.send(bytes.reversed(), channel: channel, to: id)
      }
      answered = events.count
      return !peer.isRunning
    }
    try #require(peer.errors.isEmpty, "\(peer.errors)")
    let words = try #require(peer.lines.last).split(separator: " ")
    #expect(words.count == 2 && words[0] == "ok")
    // It followed this side's keys, of which each seals three messages, and this side followed its own.
    #expect(try #require(Int(words[1])) >= 4)
    #expect(node.log.received.map(\.bytes.count) == [1, 1_000, 300_000, 70_000, 0, 5, 100_000, 8])
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.downs == [.closedByPeer(.normal)])
    #expect(node.endpoint.counters.count("refusedStream") == 1)
  }
}

/// A process that runs `noise_peer.py`.
private final class PythonPeer {
  private static let interpreter = URL(filePath: "/usr/bin/python3")
  private static let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "noise_peer.py")

  /// True when what it needs is there, or when it has to be.
  static let isPossible: Bool = {
    if ProcessInfo.processInfo.environment["LINNET_REQUIRE_ALL"] != nil { return true }
    let probe = Process()
    probe.executableURL = interpreter
    probe.arguments = ["-c", "import dissononce, nacl"]
    probe.standardError = FileHandle.nullDevice
    guard (try? probe.run()) != nil else { return false }
    probe.waitUntilExit()
    return probe.terminationStatus == 0
  }()

  private let process = Process()
  private let folder: URL
  private var output: URL { folder.appending(path: "out") }
  private var errorOutput: URL { folder.appending(path: "err") }

  init(_ arguments: [String]) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "linnet-peer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for file in [output, errorOutput] { try Data().write(to: file) }
    process.executableURL = PythonPeer.interpreter
    process.arguments = [PythonPeer.script.path] + arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errorOutput)
    try process.run()
  }

  deinit {
    if process.isRunning { process.terminate() }
    try? FileManager.default.removeItem(at: folder)
  }

  var isRunning: Bool { process.isRunning }
  /// The whole lines that it said.
  var lines: [String] {
    let text = String(decoding: (try? Data(contentsOf: output)) ?? Data(), as: UTF8.self)
    return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
  }
  var errors: String { String(decoding: (try? Data(contentsOf: errorOutput)) ?? Data(), as: UTF8.self) }
}
