import Primitives
import Sodium
import Testing
import Wire

@testable import Transport

/// Who gets a link when not all can have one.
@Suite(.timeLimit(.minutes(1))) struct LinkLimitTests {
  @Test func theLimitOfLinksHolds() async throws {
    let (one, two, three) = (try await TestNode { $0.maximumLinks = 1 }, try await TestNode(), try await TestNode())
    await two.link(to: one)
    three.endpoint.dial(one.address, expecting: one.id)
    await eventually { three.log.downs.count == 1 }
    #expect(three.log.downs == [.closedByPeer(.tooManyLinks)])
    #expect(one.endpoint.counters.count("tooManyLinks") == 1)
    #expect(one.endpoint.links.map(\.id) == [two.id])
    for node in [one, two, three] { await node.endpoint.shutdown() }
  }

  @Test func onePrefixAndAllWhoConnectTakeUpAPartOfTheLinks() async throws {
    let one = try await TestNode {
      $0.maximumLinks = 8
      $0.maximumLinksPerPrivatePrefix = 2
    }
    func connect(from ip: UInt32) throws -> (raw: RawPeer, id: NodeID) {
      let (raw, key) = (RawPeer(connectingTo: one.address, from: ip), try SigningKey.generate())
      try raw.shake(.initiator, key: key)
      return (raw, key.id)
    }
    var strangers: [RawPeer] = []
    for host in UInt32(0)..<6 {
      strangers.append(try connect(from: 0x7f00_0001 + (host / 2) << 8).raw)
      await eventually { one.endpoint.links.count == Int(host) + 1 }
    }
    let third = try connect(from: 0x7f00_0001)
    #expect(third.raw.goodbye() == .tooManyLinks)
    #expect(one.endpoint.counters.count("tooManyInboundLinks") == 1)
    // A quarter is kept for those that this node dials.
    let others = [try await TestNode(), try await TestNode(), try await TestNode()]
    await one.link(to: others[0])
    strangers.removeLast()
    await eventually { one.endpoint.links.count == 6 }
    #expect(try connect(from: 0x7f00_0001).raw.goodbye() == .tooManyLinks)
    #expect(one.endpoint.counters.count("tooManyLinksPerPrefix") == 1)
    strangers.append(try connect(from: 0x7f00_0301).raw)
    await eventually { one.endpoint.links.count == 7 }
    await one.link(to: others[1])
    one.endpoint.dial(others[2].address, expecting: others[2].id)
    await eventually { one.log.failures.count == 1 }
    #expect(one.endpoint.counters.count("tooManyLinks") == 1)
    withExtendedLifetime(strangers) {}
    for node in [one] + others { await node.endpoint.shutdown() }
  }

  @Test func aPreferredNodeIsNoStranger() async throws {
    let one = try await TestNode {
      $0.maximumLinks = 4
      $0.maximumLinksPerPrivatePrefix = 1
    }
    let (stranger, validators) = (
      try await TestNode(), [try await TestNode(), try await TestNode(), try await TestNode()]
    )
    one.endpoint.prefer(Set(validators.map(\.id)))
    for node in validators + [stranger] { await node.link(to: one) }
    #expect(one.endpoint.links.count == 4)
    for node in [one, stranger] + validators { await node.endpoint.shutdown() }
  }

  @Test func aBannedNodeGetsNoLinkForSomeTime() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    one.endpoint.ban(two.id, for: .seconds(3_600))
    two.endpoint.dial(one.address, expecting: one.id)
    await eventually { two.log.downs.count == 1 }
    #expect(two.log.downs == [.closedByPeer(.misbehaviour)])
    #expect(one.endpoint.counters.count("ban.inbound") == 1 && one.log.all.isEmpty)
    // Whether it is known beforehand who is there or not.
    one.endpoint.dial(two.address, expecting: two.id)
    one.endpoint.dial(two.address, expecting: nil)
    await eventually { one.log.failures.count == 2 }
    #expect(one.log.failures == [.banned, .banned])
    #expect(one.endpoint.counters.count("ban.dial") == 2)
    // The ban ends, and lets a link that there is stand.
    one.endpoint.ban(two.id, for: .milliseconds(1))
    while one.endpoint.links.isEmpty, !Task.isCancelled {
      let failures = one.log.failures.count
      one.endpoint.dial(two.address, expecting: two.id)
      await eventually { one.log.failures.count > failures || !one.endpoint.links.isEmpty }
    }
    await eventually { two.endpoint.links.count == 1 }
    one.endpoint.ban(two.id, for: .seconds(3_600))
    #expect(one.endpoint.send([1], channel: .consensus, to: two.id))
    await eventually { two.log.received.count == 1 }
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  /// All places and all of a prefix's handshakes are taken by strangers: validators get links all the same.
  @Test func aValidatorTakesTheNewestStrangersPlace() async throws {
    let node = try await TestNode { $0.maximumLinks = 4 }
    let dialled = try await TestNode()
    await node.link(to: dialled)
    var strangers: [TestNode] = []
    for _ in 0..<3 {
      strangers.append(try await TestNode())
      await strangers[strangers.count - 1].link(to: node)
    }
    let silent = (0..<40).map { _ in RawPeer(connectingTo: node.address, from: 0x7f01_0101) }
    var validators: [TestNode] = []
    for _ in 0..<5 { validators.append(try await TestNode()) }
    node.endpoint.prefer(Set(validators.map(\.id)))
    // Those accepted last go first, then who was dialled.
    for (place, loser) in [strangers[2], strangers[1], strangers[0], dialled].enumerated() {
      await validators[place].link(to: node)
      await eventually { loser.log.downs == [.closedByPeer(.tooManyLinks)] }
    }
    withExtendedLifetime(silent) {}
    #expect(Set(node.endpoint.links.map(\.id)) == Set(validators.prefix(4).map(\.id)))
    #expect(node.endpoint.counters.count("displacedLink") == 4)
    // A stranger displaces nobody, nor does a validator another.
    strangers[0].endpoint.dial(node.address, expecting: node.id)
    await eventually { strangers[0].log.downs.count == 2 }
    validators[4].endpoint.dial(node.address, expecting: node.id)
    await eventually { validators[4].log.downs.count == 1 }
    #expect(validators[4].log.downs == [.closedByPeer(.tooManyLinks)])
    #expect(node.endpoint.links.count == 4 && node.endpoint.counters.count("tooManyLinks") == 2)
    for other in [node, dialled] + strangers + validators { await other.endpoint.shutdown() }
  }
}
