import Foundation
import Testing

@testable import Control

@Suite struct BadRequestTests {
  private func request(_ text: String, body: String = "") -> [UInt8] {
    Array(
      "\(text) HTTP/1.1\r\nHost: linnet\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
  }

  @Test(arguments: [
    ("GET /v1/nothing", "", 404, "routeUnknown", ControlCounters.Refusal.controlUnknownRoute),
    ("GET /", "", 404, "routeUnknown", .controlUnknownRoute),
    ("GET /v1/jobs/a/b/c", "", 404, "routeUnknown", .controlUnknownRoute),
    ("DELETE /v1/jobs", "", 405, "methodNotAllowed", .controlWrongMethod),
    ("POST /v1/status", "", 405, "methodNotAllowed", .controlWrongMethod),
    ("POST /v1/jobs", "{", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/jobs", "", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/jobs", "[]", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/jobs", "{}", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/jobs", "{\"command\":[]}", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/jobs", "{\"command\":[\"a\"],\"cpuMilli\":-1}", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/jobs", "{\"command\":[\"a\"],\"memoryBytes\":1e99}", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/jobs", "\u{0}\u{1}\u{2}", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/transfers", "{\"to\":\"x\",\"amountMicrocredits\":0}", 400, "requestInvalid", .controlMalformed),
    ("POST /v1/directories", "{\"entries\":[{\"path\":\"../x\"}]}", 400, "requestInvalid", .controlMalformed),
    ("GET /v1/blocks/minus", "", 400, "requestInvalid", .controlMalformed),
    ("GET /v1/peers/%zz", "", 400, "requestInvalid", .controlMalformed),
    ("GET /v1/jobs/x/logs?stream=both", "", 400, "requestInvalid", .controlMalformed),
    ("GET /v1/jobs/x/logs?follow=maybe", "", 400, "requestInvalid", .controlMalformed),
    ("GET /v1/jobs/x/logs?offset=-1", "", 400, "requestInvalid", .controlMalformed),
    ("GET /v1/jobs/x/wait?timeoutSeconds=61", "", 400, "requestInvalid", .controlMalformed),
    ("GET /v1/jobs/x/output/file?path=../etc/passwd", "", 400, "requestInvalid", .controlMalformed),
    ("GET /v1/jobs/absent", "", 404, "jobUnknown", .controlRefused),
    ("GET /v1/peers/abc", "", 404, "peerUnknown", .controlRefused),
  ])
  func isAProblemDocumentAndCounted(
    line: String, body: String, status: Int, code: String, refusal: ControlCounters.Refusal
  ) async throws {
    try await withServer(PaperNode()) { (client, server, path) async throws in
      let answer = try await raw(path, request(line, body: body))
      #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
      #expect(answer.lowercased().contains("content-type: application/problem+json"))
      let json = try #require(answer.range(of: "\r\n\r\n")).upperBound
      let problem = try ControlJSON.decode(ControlError.self, from: Array(answer[json...].utf8))
      #expect(problem.code == code)
      #expect(problem.status == status)
      #expect(!problem.detail.isEmpty)
      #expect(answer.contains("\"type\":\"urn:linnet:problem:\(code)\""))
      #expect(server.counters[refusal] == 1)
      #expect(try await client.status().refused[refusal.rawValue] == 1)
    }
  }

  @Test func wrongMethodSaysWhichIsRight() async throws {
    try await withServer(PaperNode()) { (_, _, path) async throws in
      #expect(try await raw(path, request("PUT /v1/jobs")).lowercased().contains("\r\nallow: get, post\r\n"))
    }
  }

  @Test func anAnnouncedBodyOverTheLimitIsRefusedUnread() async throws {
    try await withServer(PaperNode()) { (client, server, path) async throws in
      let head = "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n"
      #expect(try await raw(path, Array(head.utf8)).hasPrefix("HTTP/1.1 413 "))
      #expect(server.counters[.controlOversized] == 1)
      _ = try await client.status()
    }
  }

  @Test func anUnannouncedBodyOverTheLimitIsRefused() async throws {
    try await withServer(PaperNode()) { (client, server, _) async throws in
      let http = UnixHTTPClient(socketPath: client.socketPath)
      let part = [UInt8](repeating: UInt8(ascii: " "), count: 100_000)
      let status = try await http.exchange(
        .POST, "/v1/jobs", content: .stream(ByteStream(elements: Array(repeating: part, count: 12)))
      ) { head, _ in head.status.code }
      #expect(status == 413)
      #expect(server.counters[.controlOversized] == 1)
    }
  }

  @Test func garbageIsCountedAndTheServerLives() async throws {
    try await withServer(PaperNode()) { (client, server, path) async throws in
      var generator = SystemRandomNumberGenerator()
      for round in 0..<20 {
        var bytes = (0..<500).map { _ in UInt8.random(in: 0...255, using: &generator) }
        // Whatever follows, this first byte begins no method.
        bytes[0] = 0x16
        let answer = try await raw(path, bytes)
        #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400 "), "round \(round): \(answer)")
      }
      #expect(server.counters[.controlGarbage] == 20)
      #expect(try await client.status().refused["controlGarbage"] == 20)
    }
  }

  @Test func aHeadThatNeverEndsIsRefused() async throws {
    try await withServer(PaperNode()) { (client, server, path) async throws in
      let head = "GET /v1/status HTTP/1.1\r\nHost: x\r\n" + "X-Long: " + String(repeating: "a", count: 200_000)
      let answer = try await raw(path, Array(head.utf8))
      #expect(!answer.hasPrefix("HTTP/1.1 200"))
      #expect(server.counters[.controlGarbage] == 1)
      _ = try await client.status()
    }
  }

  @Test func anUploadCutShortIsNotStored() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, path) async throws in
      let head = "POST /v1/blobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      _ = try await raw(path, Array((head + "5\r\nhello\r\n").utf8))
      _ = try await raw(path, Array("POST /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello".utf8))
      struct Unreadable: Error {}
      await #expect(throws: Unreadable.self) {
        let first = FirstOnly()
        _ = try await client.addBlob(
          ByteStream {
            if first.take() { return Array("hello".utf8) }
            throw Unreadable()
          })
      }
      _ = try await client.status()
      #expect(node.contents.withLock { $0.blobs.isEmpty })
    }
  }

  @Test func aFailureUnderWayIsTheLastLine() async throws {
    try await withServer(PaperNode()) { (client, server, _) async throws in
      _ = try await client.submitJob(JobSubmission(command: ["a"]))
      _ = try await client.submitJob(JobSubmission(command: ["b"]))
      let fault = await #expect(throws: ControlError.self) { try await client.jobLogs(id: "job-1001") { _ in } }
      #expect(fault?.code == "providerGone")
      #expect(server.counters[.controlFailed] == 0)
    }
  }
}
