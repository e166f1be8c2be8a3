import Foundation
import Primitives
import Testing

@testable import Blobs

@Suite struct BlobFetchTests {
  /// Peers by name; a nil answer is silence.
  private typealias Network = [String: (BlobRequest) -> [BlobChunk]?]

  /// Carries questions and answers until nothing moves, or `limit` rounds.
  private func run(_ fetch: inout BlobFetch<String>, _ network: Network, limit: Int = 2000) -> Instant {
    var now = Instant.zero
    for _ in 0..<limit {
      let questions = fetch.next(now: now)
      if fetch.phase != .running { break }
      if questions.isEmpty {
        guard let deadline = fetch.nextDeadline else { break }
        #expect(deadline > now)
        now = max(deadline, now)
        continue
      }
      for question in questions {
        guard let chunks = network[question.peer]?(question.request) else { continue }
        fetch.receive(chunks, for: question.id, now: now)
      }
    }
    return now
  }

  private func makeTree(_ directory: TemporaryDirectory, files: Int = 40) throws -> String {
    let path = directory.path + "/tree"
    try FileManager.default.createDirectory(atPath: path + "/x/y", withIntermediateDirectories: true)
    for number in 0..<files {
      try write(bytes(number * 100, seed: UInt64(number)), path + (number % 2 == 0 ? "/x/y/" : "/") + "\(number)")
    }
    try write(bytes(5 * chunk + 3), path + "/x/large")
    try write(bytes(100), path + "/same")
    try write(bytes(100), path + "/x/same")
    return path
  }

  @Test func aDirectoryComesFromSeveralPeers() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let tree = try makeTree(directory)
    let made = try source.importDirectory(path: tree)
    var fetch = try BlobFetch<String>(made.summary.root, into: target, pinnedBy: "lease 1")
    var asked: [String: Int] = [:]
    var network: Network = [:]
    for peer in ["p", "q", "r"] {
      let isNew = fetch.add(peer)
      #expect(isNew)
      network[peer] = { request in
        asked[peer, default: 0] += 1
        let chunks = source.answer(request)
        return try? BlobChunk.decode(BlobChunk.encode(chunks))
      }
    }
    let isTwice = fetch.add("p")
    #expect(!isTwice)
    _ = run(&fetch, network)
    #expect(fetch.phase == .done && fetch.banned.isEmpty && fetch.unexpectedAnswers == 0)
    #expect(target.missing(below: made.summary.root).isEmpty)
    #expect(asked.count == 3 && asked.values.allSatisfy { $0 > 5 })
    #expect(target.list() == source.list())
    #expect(target.counters.chunksReceived == target.list().map { BlobTree.chunkCount(size: $0.size) }.reduce(0, +))
    #expect(fetch.knownBytes == target.list().map(\.size).reduce(0, +) && fetch.receivedBytes == fetch.knownBytes)
    try target.export(made.summary.root, to: directory.path + "/out")
    #expect(try source.importDirectory(path: directory.path + "/out").summary == made.summary)
    #expect(target.pins(of: made.summary.root) == ["lease 1"])

    // What is here already needs no peer.
    var again = try BlobFetch<String>(made.summary.root, into: target, pinnedBy: "lease 2")
    let asked1 = again.next(now: .zero)
    #expect(asked1.isEmpty)
    #expect(again.phase == .done && again.receivedBytes == 0)
  }

  @Test func onePeerThatLiesIsBannedAndTheRestSuffices() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let made = try source.importBytes(bytes(6 * chunk))
    var fetch = try BlobFetch<String>(made.root, into: target, pinnedBy: "x")
    for peer in ["liar", "shifter", "silent", "empty", "honest"] { fetch.add(peer) }
    _ = run(
      &fetch,
      [
        "liar": { request in
          var chunks = source.answer(request)
          for index in chunks.indices { chunks[index].bytes[0] ^= 1 }
          return chunks
        },
        "shifter": { request in
          source.answer(BlobRequest(root: request.root, firstChunk: request.firstChunk + 1, count: request.count))
        },
        "silent": { _ in nil },
        "empty": { _ in [] },
        "honest": { source.answer($0) },
      ])
    #expect(fetch.phase == .done && target.has(made.root))
    #expect(fetch.banned.isSubset(of: ["liar", "shifter"]) && fetch.banned.contains("liar"))
    let isBack = fetch.add("liar")
    #expect(!isBack)
    #expect(target.counters.chunksRefused > 0)
    #expect(try target.bytes(of: made.root, limit: .max) == bytes(6 * chunk))
  }

  @Test func timeoutsPauseAPeerLongerEachTime() throws {
    let directory = TemporaryDirectory()
    let target = try directory.make("b")
    var fetch = try BlobFetch<String>(
      Digest(hashing: [1]), into: target, pinnedBy: "x", timeout: .seconds(2), retryDelay: .seconds(1))
    fetch.add("p")
    var now = Instant.zero
    var starts: [Int64] = []
    for _ in 0..<14 {
      for question in fetch.next(now: now) {
        #expect(question.request == BlobRequest(root: Digest(hashing: [1]), firstChunk: 0, count: 1))
        starts.append(now.microseconds / 1_000_000)
      }
      now = try #require(fetch.nextDeadline)
    }
    #expect(starts == [0, 3, 7, 13, 23, 41, 75])
    #expect(fetch.phase == .running)
    // A question whose answer comes after its time is over.
    fetch.receive([], for: 1, now: now)
    #expect(fetch.unexpectedAnswers == 1)
  }

  @Test func aPeerWithoutTheBlobIsAskedAgainLater() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let content = bytes(2 * chunk)
    let root = try directory.make("c").importBytes(content).root
    var fetch = try BlobFetch<String>(root, into: target, pinnedBy: "x")
    fetch.add("p")
    var questions = 0
    let end = run(
      &fetch,
      [
        "p": { request in
          questions += 1
          if questions == 3 { _ = try? source.importBytes(content) }
          return source.answer(request)
        }
      ])
    #expect(fetch.phase == .done && end == Instant.zero + .seconds(2))
  }

  @Test func aLostPeersQuestionsGoToOthers() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let root = try source.importBytes(bytes(3 * chunk)).root
    var fetch = try BlobFetch<String>(root, into: target, pinnedBy: "x")
    fetch.add("p")
    let asked2 = fetch.next(now: .zero)
    #expect(asked2.map(\.peer) == ["p"])
    fetch.remove("p")
    fetch.add("q")
    let second = fetch.next(now: .zero)
    #expect(second.map(\.peer) == ["q"] && second[0].request.firstChunk == 0)
    fetch.fail(second[0].id, now: .zero)
    let asked3 = fetch.next(now: .zero)
    #expect(asked3.isEmpty)
    #expect(fetch.nextDeadline == Instant.zero + .seconds(1))
    _ = run(&fetch, ["q": { source.answer($0) }])
    #expect(fetch.phase == .done)
  }

  @Test func aDirectoryThatLiesFailsAndBansNobody() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let file = try source.importBytes([1, 2, 3])
    for content: BlobEntry.Content in [
      .file(root: file.root, size: 4), .directory(root: file.root, size: 3),
    ] {
      let writer = try source.writer()
      try writer.write(try DirectoryManifest.encode([BlobEntry(name: [97], mode: 0o755, content: content)]))
      let root = try writer.finish(.directory, hold: false, pinnedBy: nil).root
      var fetch = try BlobFetch<String>(root, into: target, pinnedBy: "x")
      fetch.add("p")
      _ = run(&fetch, ["p": { source.answer($0) }])
      guard case .failed(let error) = fetch.phase else {
        Issue.record("\(fetch.phase)")
        continue
      }
      #expect(error.code == .wrongEntry && fetch.banned.isEmpty)
    }
    let writer = try source.writer()
    try writer.write([9, 9])
    let root = try writer.finish(.directory, hold: false, pinnedBy: nil).root
    var fetch = try BlobFetch<String>(root, into: target, pinnedBy: "x")
    fetch.add("p")
    _ = run(&fetch, ["p": { source.answer($0) }])
    guard case .failed(let error) = fetch.phase else { return #expect(fetch.phase == .done) }
    #expect(error.code == .badManifest)
  }

  @Test func boundsEndAFetch() throws {
    let directory = TemporaryDirectory()
    let source = try directory.make("a")
    let made = try source.importDirectory(path: try makeTree(directory, files: 3))
    var fetch = try BlobFetch<String>(
      made.summary.root, into: try directory.make("b"), pinnedBy: "x", maximumBytes: UInt64(chunk))
    fetch.add("p")
    _ = run(&fetch, ["p": { source.answer($0) }])
    guard case .failed(let error) = fetch.phase else {
      Issue.record("\(fetch.phase)")
      return
    }
    #expect(error.code == .tooLarge)
    var full = try BlobFetch<String>(
      made.summary.root, into: try directory.make("c", maximumBytes: 300_000), pinnedBy: "x")
    full.add("p")
    _ = run(&full, ["p": { source.answer($0) }])
    guard case .failed(let error) = full.phase else {
      Issue.record("\(full.phase)")
      return
    }
    #expect(error.code == .full)
  }

  @Test func twoFetchesOfOneBlobShareTheReceipt() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let root = try source.importBytes(bytes(4 * chunk)).root
    var first = try BlobFetch<String>(root, into: target, pinnedBy: "x")
    var second = try BlobFetch<String>(root, into: target, pinnedBy: "y")
    first.add("p")
    second.add("p")
    for question in first.next(now: .zero) {
      first.receive(source.answer(question.request), for: question.id, now: .zero)
    }
    for question in second.next(now: .zero) {
      second.receive(source.answer(question.request), for: question.id, now: .zero)
    }
    let asked4 = second.next(now: .zero)
    #expect(asked4.isEmpty && second.nextDeadline == Instant.zero + .seconds(1))
    _ = run(&first, ["p": { source.answer($0) }])
    #expect(first.phase == .done)
    let asked5 = second.next(now: Instant.zero + .seconds(1))
    #expect(asked5.isEmpty)
    #expect(second.phase == .done && target.pins(of: root) == ["x", "y"])
  }

  @Test func aFetchGoesOnFromWhatWasReceived() throws {
    let directory = TemporaryDirectory()
    let (source, target) = (try directory.make("a"), try directory.make("b"))
    let root = try source.importBytes(bytes(20 * chunk)).root
    do {
      var fetch = try BlobFetch<String>(root, into: target, pinnedBy: "x")
      fetch.add("p")
      for _ in 0..<2 {
        for question in fetch.next(now: .zero) {
          fetch.receive(source.answer(question.request), for: question.id, now: .zero)
        }
      }
      #expect(fetch.phase == .running && fetch.receivedBytes == UInt64(9 * chunk))
    }
    var fetch = try BlobFetch<String>(root, into: target, pinnedBy: "x")
    fetch.add("p")
    _ = run(&fetch, ["p": { source.answer($0) }])
    #expect(fetch.phase == .done && fetch.receivedBytes == UInt64(11 * chunk))
    #expect(try target.bytes(of: root, limit: .max) == bytes(20 * chunk))
  }
}
