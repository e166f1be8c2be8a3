import Foundation
import Testing

@testable import Control

@Suite(.timeLimit(.minutes(5))) struct RouteTests {
  @Test func everyNodeRoute() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      var status = try await client.status()
      #expect(status.refused["datagramGarbage"] == 4)
      #expect(status.refused["controlMalformed"] == 0)
      status.refused = ["datagramGarbage": 4]
      #expect(try await node.status() == status)
      #expect(try await client.hardware() == node.hardware())
      #expect(try await client.configuration() == node.configuration())
    }
  }

  @Test func everyNetworkRoute() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      #expect(try await client.peers() == [PaperNode.peer])
      #expect(try await client.peer(id: "peerB-222222") == PaperNode.detail)
      #expect(try await client.peer(id: "peer").peer.name == "b")
      #expect(try await client.network(dialBack: true) == PaperNode.network)
      #expect(try await client.network().dialBacks.isEmpty)

      var answers: [PingAnswer] = []
      try await client.ping(id: "peer", PeerPingRequest(count: 2, intervalMilliseconds: 100)) { answers.append($0) }
      #expect(answers.map(\.sequence) == [1, 1, 2, 2] && answers.map(\.path) == [.udp, .tcp, .udp, .tcp])
      #expect(answers[0].rttMicroseconds == 830 && answers[1].error == .noLink)
      let unknown = await #expect(throws: ControlError.self) { try await client.ping(id: "zzzz") { _ in } }
      #expect(unknown?.code == "peerUnknown")

      var events: [EventAnswer] = []
      try await client.events(EventRequest(from: 3, kinds: [.member, .linkUp], follow: false)) { events.append($0) }
      try await client.events(EventRequest(follow: false)) { events.append($0) }
      #expect(events == [PaperNode.event, PaperNode.event])
      #expect(
        node.contents.withLock { $0.eventRequests } == [
          EventRequest(from: 3, kinds: [.member, .linkUp], follow: false), EventRequest(follow: false),
        ])
    }
  }

  /// Who follows the events and goes away ends the node's wait.
  @Test func followingEventsEndsWithTheClient() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      struct Enough: Error {}
      await #expect(throws: Enough.self) { try await client.events { _ in throw Enough() } }
      await eventually { node.contents.withLock { $0.eventFollowersEnded } == 1 }
      #expect(node.contents.withLock { $0.eventRequests } == [EventRequest()])
    }
  }

  @Test(arguments: [
    ("GET", "/v1/events?kind=member,nothing", ""), ("GET", "/v1/events?from=-1", ""),
    ("GET", "/v1/events?follow=perhaps", ""), ("GET", "/v1/network?dialBack=2", ""),
    ("POST", "/v1/peers/peer/ping", #"{"count":0}"#), ("POST", "/v1/peers/peer/ping", #"{"count":101}"#),
    ("POST", "/v1/peers/peer/ping", #"{"intervalMilliseconds":99}"#),
    ("POST", "/v1/peers/peer/ping", #"{"intervalMilliseconds":10001}"#), ("POST", "/v1/peers/peer/ping", "4"),
  ])
  func networkRequestsThatCanNeverBe(method: String, path: String, body: String) async throws {
    try await withServer(PaperNode()) { (_, server, socket) async throws in
      let head = "\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
      let request = head + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
      let answer = try await raw(socket, Array(request.utf8))
      #expect(answer.hasPrefix("HTTP/1.1 400 "))
      #expect(answer.contains("requestInvalid"))
      #expect(server.counters[.controlMalformed] == 1)
    }
  }

  /// What is absent from the body of a ping is four of them, one a second.
  @Test func aPingMayBeAskedForByAnEmptyObject() throws {
    let request = try ControlJSON.decode(PeerPingRequest.self, from: Array("{}".utf8))
    #expect(request == PeerPingRequest(count: 4, intervalMilliseconds: 1_000))
  }

  @Test func anInviteWithAndWithoutAGrant() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      let plain = try await client.invite()
      #expect(plain.invite == "lninvite1q" && plain.grant == nil)
      let wanted = InviteRequest(addresses: ["10.0.0.1:7447"], grantMicrocredits: 5)
      let granted = try await client.invite(wanted)
      #expect(granted.addresses == ["10.0.0.1:7447"])
      #expect(granted.grant?.amountMicrocredits == 5 && granted.grant?.transfer.inBlock == 10)
      #expect(node.contents.withLock { $0.invites } == [InviteRequest(), wanted])
      let none = await #expect(throws: ControlError.self) {
        try await client.invite(InviteRequest(grantMicrocredits: 0))
      }
      #expect(none?.code == "requestInvalid")
    }
  }

  /// A network's name and its id, and what runs, are called the same in every answer.
  @Test func oneNameForOneThing() async throws {
    struct Names: Decodable {
      var network: String
      var networkId: String
      var leasesRunning: Int?
    }
    let node = PaperNode()
    let status = try ControlJSON.decode(Names.self, from: ControlJSON.encode(await node.status()))
    #expect(status.network == "test" && status.networkId == "net1" && status.leasesRunning == 1)
    let invite = try ControlJSON.decode(Names.self, from: ControlJSON.encode(await node.invite(InviteRequest())))
    #expect(invite.network == "test" && invite.networkId == "net1")
  }

  @Test func everyJobRoute() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      let submission = JobSubmission(
        command: ["sh", "-c", "exit 3"], environment: ["A": "ü=1"],
        inputs: [JobInput(name: "in.txt", root: "blob1"), JobInput(name: "d", root: "dir1", isDirectory: true)],
        cpuMilli: 250, memoryBytes: 1, diskBytes: 2, gpus: 1, wallLimitSeconds: 9, maximumPriceMicrocredits: 77,
        labels: ["zone": "a"], excludeSelf: false)
      let id = try await client.submitJob(submission).id
      #expect(node.contents.withLock { $0.jobs[id] } == submission)
      #expect(try await client.job(id: id) == node.job(id: id))
      #expect(try await client.jobs() == node.jobs())
      #expect(try await client.jobAfterItsEnd(id: id).exitCode == 3)

      var chunks: [JobLogChunk] = []
      try await client.jobLogs(id: id, JobLogRequest(stream: .stderr, offset: 5)) { chunks.append($0) }
      #expect(chunks == [JobLogChunk(stream: .stderr, attempt: 0, offset: 5, bytes: [0, 255, 10])])

      #expect(try await client.jobOutput(id: id) == node.jobOutput(id: id))
      var file: [UInt8] = []
      try await client.jobOutputFile(id: id, path: "a b/ü.txt") { file += $0 }
      #expect(file == Array("hello".utf8))

      #expect(try await client.cancelJob(id: id).state == .cancelled)
      let again = await #expect(throws: ControlError.self) { try await client.cancelJob(id: id) }
      #expect(again?.code == "jobEnded")
      #expect(again?.status == 409)
    }
  }

  @Test func everyLedgerRoute() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      #expect(try await client.account() == node.account(id: nil))
      #expect(try await client.account(id: "5K/? Q").id == "5K/? Q")
      let transfer = TransferRequest(to: "x", amountMicrocredits: 18_446_744_073_709_551_615)
      #expect(try await client.transfer(transfer) == TransactionAnswer(id: "tx1", inBlock: 10))
      #expect(node.contents.withLock { $0.transfers } == [transfer])
      #expect(try await client.chainStatus() == node.chainStatus())
      #expect(try await client.block(height: 9) == node.block(height: 9))
      let none = await #expect(throws: ControlError.self) { try await client.block(height: 10) }
      #expect(none?.code == "blockUnknown")
      #expect(none?.status == 404)
      #expect(try await client.validators() == node.validators())
    }
  }

  @Test func everyValidatorRoute() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      #expect(try await client.ownValidator() == node.ownValidator())
      for stake in [StakeRequest(), StakeRequest(amountMicrocredits: .max)] {
        let joined = try await client.joinValidators(stake)
        #expect(joined == ValidatorChangeAnswer(id: "tx2", inBlock: 10, holdsFromEpoch: 4))
      }
      #expect(
        node.contents.withLock { $0.stakes } == [StakeRequest(), StakeRequest(amountMicrocredits: .max)])
      let none = await #expect(throws: ControlError.self) {
        try await client.joinValidators(StakeRequest(amountMicrocredits: 0))
      }
      #expect(none?.code == "requestInvalid")
      #expect(try await client.leaveValidators() == node.leaveValidators())
      #expect(try await client.rotateVoteKey() == node.rotateVoteKey())
    }
  }

  @Test func everyBlobRoute() async throws {
    let node = PaperNode()
    try await withServer(node) { (client, _, _) async throws in
      let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
      let added = try await client.addBlob(ByteStream(elements: [Array(bytes[..<1234]), [], Array(bytes[1234...])]))
      #expect(added == BlobAnswer(root: "blob5000", sizeBytes: 5000))
      var got: [UInt8] = []
      try await client.blob(root: added.root) { got += $0 }
      #expect(got == bytes)
      let none = await #expect(throws: ControlError.self) { try await client.blob(root: "nothing") { _ in } }
      #expect(none?.code == "blobUnknown")

      let manifest = DirectoryManifest(entries: [
        DirectoryEntry(path: "empty", kind: .directory),
        DirectoryEntry(path: "f", root: added.root, sizeBytes: 5000, executable: true),
        DirectoryEntry(path: "l", kind: .symlink, target: "f"),
      ])
      let directory = try await client.addDirectory(manifest)
      #expect(directory.sizeBytes == 5000)
      #expect(try await client.directory(root: directory.root).entries == manifest.entries)
    }
  }

  @Test func anEmptyFileIsABlobToo() async throws {
    try await withServer(PaperNode()) { (client, _, _) async throws in
      #expect(try await client.addBlob(ByteStream(elements: [])).sizeBytes == 0)
      var parts = 0
      try await client.blob(root: "blob0") { _ in parts += 1 }
      #expect(parts == 0)
    }
  }

  /// The documentation lists the routes that there are, each once.
  @Test func documentationNamesEveryRoute() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/control-api.md")
    let text = try String(contentsOf: file, encoding: .utf8)
    let documented = text.split(separator: "\n").compactMap { line -> String? in
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      guard cells.count >= 3, cells[0] == "GET" || cells[0] == "POST" else { return nil }
      return cells[0] + " " + cells[1].trimmingCharacters(in: ["`"]).split(separator: "?")[0]
    }
    #expect(documented.sorted() == ControlRoute.all.map { "\($0.method) \($0.pattern)" }.sorted())
  }

  /// The documentation explains every kind of event, and every line that a verdict may have.
  @Test func documentationNamesEveryKindOfEvent() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/control-api.md")
    let text = try String(contentsOf: file, encoding: .utf8)
    for kind in EventKind.allCases { #expect(text.contains("| `\(kind.rawValue)` |"), "\(kind)") }
  }
}
