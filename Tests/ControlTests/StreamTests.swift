import Synchronization
import Testing

@testable import Control

/// Gives its first caller true.
final class FirstOnly: Sendable {
  private let first = Mutex(true)
  func take() -> Bool {
    first.withLock { first in
      defer { first = false }
      return first
    }
  }
}

// What is waited for below comes soon or never; only the upload takes its time.
@Suite(.timeLimit(.minutes(5))) struct StreamTests {
  /// 256 MiB go up to a slow node while the sender stays only as far ahead as sockets and pipelines hold: less than a MiB,
  /// on a loaded machine too.
  @Test func aLargeUploadIsNeverHeldWhole() async throws {
    let lead = Mutex((sent: 0, received: 0, largest: 0))
    let partBytes = 65_536
    let parts = 4096
    let node = PaperNode(upload: { part in
      lead.withLock { lead in
        lead.received += part.count
        lead.largest = max(lead.largest, lead.sent - lead.received)
      }
      for _ in 0..<20 { await Task.yield() }
    })
    try await withServer(node) { (client, _, _) async throws in
      let part = [UInt8](repeating: 7, count: partBytes)
      let answer = try await client.addBlob(
        ByteStream {
          lead.withLock { lead in
            guard lead.sent < parts * partBytes else { return nil }
            lead.sent += partBytes
            return part
          }
        })
      #expect(answer.sizeBytes == UInt64(parts * partBytes))
    }
    #expect(lead.withLock { $0.largest } < parts * partBytes / 16)
  }

  /// A node that refuses in the midst of an upload is heard.
  @Test func anEarlyRefusalReachesTheSender() async throws {
    let node = PaperNode(upload: { _ in
      throw ControlError(code: "diskFull", status: 507, title: "No space", detail: "the disk is full")
    })
    try await withServer(node) { (client, server, _) async throws in
      let part = [UInt8](repeating: 7, count: 65_536)
      let refusal = await #expect(throws: ControlError.self) {
        _ = try await client.addBlob(ByteStream(elements: Array(repeating: part, count: 400)))
      }
      #expect(refusal?.code == "diskFull")
      #expect(refusal?.status == 507)
      #expect(server.counters[.controlFailed] == 1)
      _ = try await client.status()
    }
  }

  /// A client that goes away ends the node's wait.
  @Test func followingEndsWithTheClient() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      let id = try await client.submitJob(JobSubmission(command: ["a"])).id
      struct Enough: Error {}
      await #expect(throws: Enough.self) {
        try await client.jobLogs(id: id, JobLogRequest(follow: true)) { _ in throw Enough() }
      }
      await eventually { node.contents.withLock { $0.logFollowersEnded } == 1 }
    }
  }

  /// A daemon that stops ends its followers instead of waiting for them.
  @Test func followingEndsWithTheDaemon() async throws {
    let node = PaperNode()
    let follower = try await withServer(node) { (client, _, _) async throws in
      let id = try await client.submitJob(JobSubmission(command: ["a"])).id
      let (begun, signal) = AsyncStream<Void>.makeStream()
      let follower = Task { try await client.jobLogs(id: id, JobLogRequest(follow: true)) { _ in signal.finish() } }
      for await _ in begun {}
      return follower
    }
    _ = await follower.result
    await eventually { node.contents.withLock { $0.logFollowersEnded } == 1 }
  }

  @Test func linesAreCutWhereverThePartsEnd() throws {
    var splitter = LineSplitter()
    #expect(try splitter.take(Array("ab".utf8)).isEmpty)
    #expect(try splitter.take(Array("c\n\nde\nf".utf8)) == [Array("abc".utf8), Array("de".utf8)])
    #expect(try splitter.take(Array("\n".utf8)) == [Array("f".utf8)])
    #expect(throws: ControlError.self) {
      try splitter.take([UInt8](repeating: 65, count: LineSplitter.maximumLineBytes + 1))
    }
  }
}
