import Primitives
import Testing
import Wire

@testable import Node

@Suite struct IntroductionsTests {
  private let start = Instant.zero + .seconds(1_000)

  private func asks(
    _ introductions: inout Introductions, _ id: NodeID, _ standing: Introductions.Standing, links: Int,
    port: UInt16 = 7_447, at now: Instant
  ) -> Bool {
    guard let address = PeerAddress(ip: [10, 0, 0, 1], port: port) else { return false }
    return introductions.shouldDial(id, address, standing, linkCount: links, at: now)
  }

  @Test func whoIsLiveIsLeftToMembershipAndWhoIsGoneIsDialled() throws {
    var introductions = Introductions()
    let ids = try (1...3).map { try nodeID($0) }
    #expect(!asks(&introductions, ids[0], .live, links: 0, at: start))
    #expect(asks(&introductions, ids[1], .unknown, links: 0, at: start))
    #expect(!asks(&introductions, ids[2], .unknown, links: Introductions.enoughLinks, at: start))
    #expect(asks(&introductions, ids[2], .gone, links: Introductions.enoughLinks, at: start))
  }

  @Test func oneIsDialledOnceInAWhile() throws {
    var introductions = Introductions()
    let id = try nodeID(1)
    #expect(asks(&introductions, id, .unknown, links: 0, at: start))
    #expect(!asks(&introductions, id, .gone, links: 0, at: start + .seconds(29)))
    // Elsewhere it may be all the same: where it was dialled may be where another repeated what it said.
    #expect(asks(&introductions, id, .gone, links: 0, port: 7_448, at: start + .seconds(29)))
    #expect(asks(&introductions, id, .gone, links: 0, at: start + .seconds(30)))
  }

  @Test func manyIdentitiesMakeFewDials() throws {
    var introductions = Introductions()
    var dials = 0
    for number in 0..<200 {
      let bytes = [UInt8(number)] + [UInt8](repeating: 3, count: 31)
      let id = try #require(NodeID(bytes: bytes))
      if asks(&introductions, id, .unknown, links: 0, at: start) { dials += 1 }
    }
    #expect(dials == Introductions.burst)
    #expect(asks(&introductions, try nodeID(1), .unknown, links: 0, at: start + Introductions.window))
  }

  @Test func aBeaconSaysWhereItsNodeIs() throws {
    func address(_ addresses: [String], from source: String) throws -> String? {
      let record = NodeRecord(
        name: "n", addresses: addresses.compactMap { PeerAddress(text: $0) }, roles: [], capabilities: .zero,
        agent: "a", expiresUnixSeconds: 1)
      #expect(record.addresses.count == addresses.count)
      let source = try #require(PeerAddress(text: source))
      return Introductions.address(of: record, heardFrom: source)?.description
    }
    // The source's address with the record's port, by family where there is a choice.
    #expect(try address(["192.0.2.1:9000"], from: "10.0.0.7:7448") == "10.0.0.7:9000")
    #expect(try address(["[2001:db8::1]:9006", "192.0.2.1:9004"], from: "10.0.0.7:7448") == "10.0.0.7:9004")
    #expect(try address(["[2001:db8::1]:9006"], from: "[2001:db8::7]:7448") == "[2001:db8::7]:9006")
    // A link-local source can't be dialled.
    #expect(try address(["[2001:db8::1]:9006"], from: "[fe80::7]:7448") == "[2001:db8::1]:9006")
    #expect(try address(["[fe80::9]:9006"], from: "[fe80::7]:7448") == nil)
    #expect(try address([], from: "10.0.0.7:7448") == nil)
    #expect(try address(["192.0.2.1:0"], from: "10.0.0.7:7448") == nil)
  }
}

@Suite struct GrantClaimTests {
  @Test func aGrantIsClaimedOnceItIsThere() {
    func step(_ balance: UInt64, _ nonce: UInt64) -> GrantClaim.Step {
      GrantClaim.step(balanceMicrocredits: balance, nonce: nonce, feeMicrocredits: 100)
    }
    // Not paid yet, or this node has not caught up.
    #expect(step(0, 0) == .wait)
    #expect(step(100, 0) == .wait)
    #expect(step(5_100, 0) == .claim(amountMicrocredits: 5_000))
    #expect(step(0, 1) == .done)
    // More was paid in.
    #expect(step(101, 1) == .claim(amountMicrocredits: 1))
  }
}
