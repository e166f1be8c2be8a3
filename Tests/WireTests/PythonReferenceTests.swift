import Foundation
import Primitives
import Sodium
import Testing
import Wire

/// Both ways between this implementation and Tests/Reference/linnet_wire.
@Suite struct PythonReferenceTests {
  /// One line of what Python writes. `fields` are compared as text and not read.
  struct Entry: Decodable {
    var type: String
    var hex: String
    var networkID: String?
    var validators: [String]?
    var epoch: UInt64?
    var statement: String?
    var id: String?
    var node: String?
  }

  struct Failure: Error { var message: String }

  /// Runs the reference with these arguments and lines on its standard input; answers the lines it writes.
  static func python(_ arguments: [String], input: [String] = []) throws -> [Data] {
    let folder = FileManager.default.temporaryDirectory.appending(path: "linnet-wire-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files and not pipes: neither side can wait for the other.
    let files = ["in", "out", "err"].map { folder.appending(path: $0) }
    try Data(input.map { $0 + "\n" }.joined().utf8).write(to: files[0])
    for file in files.dropFirst() { try Data().write(to: file) }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/python3")
    process.arguments = [VectorTests.repository.appending(path: "Tests/Reference/linnet_wire").path] + arguments
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(message: String(decoding: try Data(contentsOf: files[2]), as: UTF8.self))
    }
    return try Data(contentsOf: files[1]).split(separator: UInt8(ascii: "\n"))
  }

  static func digest(_ text: String) throws -> Digest { try #require(Digest(hex: text)) }

  @Test(arguments: [1, 2, 3, 20_250_601]) func pythonsBytesReadAndVerifyHere(_ seed: Int) throws {
    let lines = try Self.python(["write", "\(seed)"])
    var counts = (entries: 0, signed: 0)
    for line in lines {
      let entry = try JSONDecoder().decode(Entry.self, from: line)
      let bytes = try #require(Hex.decode(entry.hex))
      let type = try #require(WireType.named(entry.type))
      let value = try type.decode(bytes)
      #expect(value.encoded == bytes)
      let fields = Data("\"fields\":\(fieldsJSON(value)),\"hex\"".utf8)
      #expect(line.range(of: fields) != nil, "\(entry.type): \(fieldsJSON(value))")
      counts.entries += 1
      if let genesis = value as? Genesis { #expect(genesis.networkID.description == entry.networkID) }
      if let header = value as? BlockHeader { #expect(header.id.description == entry.id) }
      guard let network = entry.networkID, !(value is Genesis) else { continue }
      try Self.verify(entry, value, networkID: Self.digest(network))
      counts.signed += 1
    }
    #expect(counts.entries >= 8 * WireType.all.count && counts.signed >= 30)
  }

  /// Checks the signatures in an entry, and that they hold nowhere else.
  static func verify(_ entry: Entry, _ value: any WireCodable, networkID: Digest) throws {
    let verifier = Verifier(networkID: networkID) { Sodium.verify($0, of: $1, by: $2) }
    let stranger = Verifier(networkID: Digest(hashing: [9])) { Sodium.verify($0, of: $1, by: $2) }
    let ids = try (entry.validators ?? []).map { NodeID(try digest($0).value) }
    let set = ValidatorSet(epoch: entry.epoch ?? 0, members: ids)
    switch value {
    case let whole as WholeMessage:
      #expect(try verifier.verify(whole.message).value == whole.message)
      #expect(whole.message.id.description == entry.id)
      #expect(Hex.encode(whole.message.envelope.statement) == entry.statement)
      #expect(throws: VerificationError.wrongNetwork) { try stranger.verify(whole.message) }
    case let block as Block:
      #expect(block.id.description == entry.id)
      for message in block.transactions { #expect(try verifier.verify(message).value == message) }
    case let key as VoteKey:
      let node = NodeID(try digest(#require(entry.node)).value)
      #expect(Hex.encode(VoteKey.statement(networkID: networkID, node: node, key: key.key)) == entry.statement)
      #expect(verifier.check(key.proof, VoteKey.statement(networkID: networkID, node: node, key: key.key), key.key))
    case let evidence as Evidence:
      for vote in [evidence.first, evidence.second] {
        let statement = vote.subject.statement(networkID: networkID)
        #expect(verifier.check(vote.signature, statement, evidence.key))
      }
    case let link as EpochLink:
      let set = try #require(set)
      #expect(try verifier.verify([link], from: set) == link.nextSet)
      #expect(throws: VerificationError.badSignature) { try stranger.verify([link], from: set) }
    case let vote as Vote:
      let set = try #require(set)
      #expect(Hex.encode(vote.subject.statement(networkID: networkID)) == entry.statement)
      #expect(try verifier.verify(vote, validators: set).value == vote)
      #expect(throws: VerificationError.badSignature) { try stranger.verify(vote, validators: set) }
    case let certificate as Certificate:
      let set = try #require(set)
      #expect(try verifier.verify(certificate, validators: set).value == certificate)
      #expect(throws: VerificationError.badSignature) { try stranger.verify(certificate, validators: set) }
    default: Issue.record("nothing to verify in \(entry.type)")
    }
  }

  @Test(arguments: [1, 2, 3]) func thisSidesBytesReadAndVerifyInPython(_ seed: UInt64) throws {
    var sampler = try Sampler(seed: 1_000 + seed)
    var values: [(type: String, value: any WireCodable, more: [(String, String)])] = []
    for type in WireType.all {
      for _ in 0..<10 {
        let value = try type.make(&sampler)
        var more: [(String, String)] = []
        if ["Message", "Block", "Evidence"].contains(type.name) {
          more = [("networkID", fieldsJSON(sampler.networkID))]
        }
        if let genesis = value as? Genesis { more = [("networkID", fieldsJSON(genesis.networkID))] }
        if let whole = value as? WholeMessage {
          more += [("id", fieldsJSON(whole.message.id)), ("statement", fieldsJSON(whole.message.envelope.statement))]
        }
        if let header = value as? BlockHeader { more = [("id", fieldsJSON(header.id))] }
        if value is VoteKey {
          let node = sampler.nodeID()
          let key = sampler.voteKey(of: node)
          let statement = VoteKey.statement(networkID: sampler.networkID, node: node, key: key.key)
          more = [
            ("networkID", fieldsJSON(sampler.networkID)), ("node", fieldsJSON(node)),
            ("statement", fieldsJSON(statement)), ("signature", fieldsJSON(key.proof)),
          ]
          values.append((type.name, key, more))
          continue
        }
        if let result = value as? LeaseResult {
          let provider = sampler.nodeID()
          let commitment = result.commitment(networkID: sampler.networkID, provider: provider).commitment
          more = [
            ("networkID", fieldsJSON(sampler.networkID)), ("provider", fieldsJSON(provider)),
            ("commitment", fieldsJSON(commitment)),
          ]
        }
        values.append((type.name, value, more))
      }
    }
    for kind in VoteKind.allCases {
      let subject = sampler.subject(kind)
      let votes = (0..<7).map { sampler.signer($0).vote(subject, as: UInt16($0)) }
      let certificate = try #require(Certificate.assemble(sampler.generator.sample(votes, count: 5))).value
      let more = [
        ("networkID", fieldsJSON(sampler.networkID)), ("validators", fieldsJSON(sampler.keys.map(\.id))),
        ("epoch", "\(subject.epoch)"), ("statement", fieldsJSON(subject.statement(networkID: sampler.networkID))),
      ]
      values.append(("Certificate", certificate, more))
      values += votes.map { ("Vote", $0.value, more) }
    }
    let answers = try Self.python(
      ["read"],
      input: values.map { type, value, more in
        object([("type", quoted(type)), ("hex", quoted(Hex.encode(value.encoded)))] + more)
      })
    #expect(answers.count == values.count)
    for (answer, (type, value, _)) in zip(answers, values) {
      let fields = fieldsJSON(value)
      #expect(answer.elementsEqual(fields.utf8), "\(type): \(String(decoding: answer.prefix(300), as: UTF8.self))")
    }
  }

  @Test func pythonAcceptsTheVectors() throws {
    // Made here and not read: the file may be written anew at this moment (`UPDATE_VECTORS`).
    let file = FileManager.default.temporaryDirectory.appending(path: "linnet-vectors-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: file) }
    try Vectors().file.write(to: file, atomically: true, encoding: .utf8)
    let lines = try Self.python(["check", file.path])
    let summary = String(decoding: lines.last ?? Data(), as: UTF8.self)
    #expect(summary.contains(" 0 failures"), "\(summary)")
  }
}
