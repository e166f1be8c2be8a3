import Primitives
import Sodium
import Testing
import Transport
import Wire

@testable import Node

@Suite struct TXTRecordsTests {
  /// A name of labels, as a message has it.
  private func name(_ text: String) -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
  }

  private func record(_ name: [UInt8], type: UInt8, _ data: [UInt8]) -> [UInt8] {
    name + [0, type, 0, 1, 0, 0, 0, 60, UInt8(data.count >> 8), UInt8(data.count & 255)] + data
  }

  private func answer(_ records: [[UInt8]], count: Int? = nil) -> [UInt8] {
    let number = UInt8(count ?? records.count)
    return [0x12, 0x34, 0x81, 0x80, 0, 1, 0, number, 0, 0, 0, 0] + name("list.example.org") + [0, 16, 0, 1]
      + records.joined()
  }

  private func strings(_ texts: [String]) -> [UInt8] { texts.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } }

  @Test func theStringsOfEachRecordAreOneText() {
    let long = String(repeating: "a", count: 255)
    let bytes = answer([
      record([0xc0, 12], type: 5, name("other.example.org")),
      record(name("other.example.org"), type: 16, strings([long, "b"])),
      record([0xc0, 12], type: 16, strings(["v=spf1 -all"])),
    ])
    #expect(TXTRecords.texts(in: bytes) == [long + "b", "v=spf1 -all"])
    #expect(TXTRecords.texts(in: answer([])).isEmpty)
  }

  @Test func whatIsCutOffOrLiesEndsTheReading() {
    let good = record([0xc0, 12], type: 16, strings(["one"]))
    let whole = answer([good, good])
    for count in 0..<whole.count {
      let texts = TXTRecords.texts(in: Array(whole.prefix(count)))
      #expect(texts == Array(repeating: "one", count: count < whole.count - good.count ? 0 : 1))
    }
    // More records than there are; a string longer than its record; a label of no known form; no text.
    #expect(TXTRecords.texts(in: answer([good], count: 200)) == ["one"])
    #expect(TXTRecords.texts(in: answer([record([0xc0, 12], type: 16, [200, 65])])).isEmpty)
    #expect(TXTRecords.texts(in: answer([record([0x80, 12], type: 16, strings(["x"]))])).isEmpty)
    #expect(TXTRecords.texts(in: answer([record([0xc0, 12], type: 16, [2, 0xff, 0xfe])])).isEmpty)
    let many = answer([[UInt8]](repeating: good, count: 100))
    #expect(TXTRecords.texts(in: many).count == TXTRecords.maximumTexts)
  }
}

@Suite struct NodeListTests {
  private let networkSeed: UInt8 = 1

  private func signer(_ number: UInt8, _ networkID: Digest) throws -> Signer {
    let key = try SigningKey(seed: [UInt8](repeating: number, count: 32))
    return Signer(id: key.id, networkID: networkID) { key.sign($0) }
  }

  private func genesis(_ name: String = "test") throws -> Genesis {
    let validator = try nodeID(networkSeed)
    return try Genesis(
      name: name, createdMilliseconds: 1, parameters: ChainParameters(), validators: [validator],
      balances: [
        Genesis.Balance(account: validator, amountMicrocredits: ChainParameters().minimumStakeMicrocredits)
      ])
  }

  private func lists(_ genesis: Genesis) throws -> DNSLists {
    DNSLists(
      names: [], ownID: try nodeID(9), genesis: genesis,
      verifier: Verifier(networkID: genesis.networkID) { verify($0, of: $1, by: $2) }, links: LateBound(),
      logger: silence())
  }

  private func text(by number: UInt8, of networkID: Digest, expires: UInt64 = 1 << 40) throws -> String {
    let hint = NodeHint(id: try nodeID(2), addresses: [try #require(PeerAddress(text: "192.0.2.1:7447"))])
    let list = try NodeList(expiresUnixSeconds: expires, nodes: [hint])
    return NodeListText.text(of: try signer(number, networkID).seal(.nodeList(list), sequence: 1))
  }

  @Test func aListOfAValidatorIsBelieved() throws {
    let genesis = try genesis()
    let good = try text(by: 1, of: genesis.networkID)
    #expect(good.hasPrefix("linnet1=lnlist1"))
    let (nodes, problem) = try lists(genesis).nodes(in: ["v=spf1 -all", good])
    #expect(nodes.map(\.id) == [try nodeID(2)] && problem == nil)
    #expect(nodes.first?.addresses.map(\.description) == ["192.0.2.1:7447"])
  }

  @Test func othersAreNot() throws {
    let genesis = try genesis()
    let good = try text(by: 1, of: genesis.networkID)
    let damaged = String(good.dropLast()) + (good.hasSuffix("q") ? "p" : "q")
    let lists = try lists(genesis)
    func problem(_ texts: [String]?) -> String? {
      let (nodes, problem) = lists.nodes(in: texts)
      #expect(nodes.isEmpty)
      return problem
    }
    #expect(problem(nil) == "no answer")
    #expect(problem(["v=spf1 -all"]) == "there is none")
    #expect(problem([damaged]) == "\(NodeListRefusal.damaged)")
    #expect(problem([try text(by: 3, of: genesis.networkID)]) == "\(NodeListRefusal.notAValidator(try nodeID(3)))")
    #expect(problem([try text(by: 1, of: genesis.networkID, expires: 1_000)]) == "\(NodeListRefusal.expired)")
    #expect(problem([try text(by: 1, of: try self.genesis("other").networkID)])?.hasPrefix("its signature") == true)
    // A record instead of a list.
    let record = NodeRecord(
      name: "n", addresses: [], roles: [], capabilities: .zero, agent: "a", expiresUnixSeconds: 1 << 40)
    let message = try signer(1, genesis.networkID).seal(.nodeRecord(record), sequence: 1)
    #expect(problem([NodeListText.text(of: message)]) == "\(NodeListRefusal.damaged)")
  }
}
