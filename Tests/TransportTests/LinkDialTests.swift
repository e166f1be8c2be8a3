import Primitives
import Sodium
import Testing
import Wire

@testable import Transport

/// Whom a dial reaches, and what becomes of it.
@Suite(.timeLimit(.minutes(1))) struct LinkDialTests {
  @Test func aWrongNetworkIsRefusedOnBothSides() async throws {
    let (one, two) = (try await TestNode(), try await TestNode(network: Digest(hashing: [2])))
    one.endpoint.dial(two.address, expecting: nil)
    await eventually { one.log.failures.count == 1 }
    #expect(one.log.failures == [.wrongNetwork])
    #expect(one.endpoint.counters.count("dial.wrongNetwork") == 1)
    // The other end hears of it by itself, perhaps later.
    await eventually { two.endpoint.counters.count("wrongNetwork") == 1 }
    #expect(one.endpoint.links.isEmpty && two.endpoint.links.isEmpty)
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func anotherIdThanExpectedIsRefused() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    one.endpoint.dial(two.address, expecting: try SigningKey.generate().id)
    await eventually { one.log.failures.count == 1 }
    #expect(one.log.failures == [.unexpectedIdentity])
    await eventually { two.endpoint.counters.count("closedDuringHandshake") == 1 }
    #expect(two.log.all.isEmpty)
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func dialsThatCannotSucceedSayWhy() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    let refusing = RawListener(refuses: true)
    one.endpoint.dial(refusing.address, expecting: nil)
    await eventually { one.log.failures.count == 1 }
    for text in ["127.0.0.1:0", "0.0.0.0:80", "255.255.255.255:80", "239.1.1.1:80", "[ff02::1]:80", "[::]:80"] {
      one.endpoint.dial(try #require(PeerAddress(text: text)), expecting: nil)
    }
    await eventually { one.log.failures.count == 7 }
    one.endpoint.dial(one.address, expecting: nil)
    await eventually { one.log.failures.count == 8 }
    one.endpoint.dial(two.address, expecting: one.id)
    await eventually { one.log.failures.count == 9 }
    await one.link(to: two)
    one.endpoint.dial(two.address, expecting: two.id)
    one.endpoint.dial(two.address, expecting: nil)
    await eventually { one.log.failures.count == 11 }
    #expect(
      one.log.failures
        == [.connectFailed] + [TransportError.Code](repeating: .unusableAddress, count: 6)
        + [.ownIdentity, .ownIdentity, .alreadyLinked, .alreadyLinked])
    #expect(one.endpoint.links.count == 1)
    withExtendedLifetime(refusing) {}
    await one.endpoint.shutdown()
    one.endpoint.dial(two.address, expecting: nil)
    await eventually { one.log.failures.count == 12 }
    #expect(one.log.failures.last == .notRunning)
    await two.endpoint.shutdown()
  }

  @Test(arguments: 0..<20) func dialsAtOnceLeaveOneLink(round: Int) async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    one.endpoint.dial(two.address, expecting: two.id)
    two.endpoint.dial(one.address, expecting: one.id)
    // Both dials are over when each side saw its own come up or fail; and one link is left when ups exceed downs by one.
    func isSettled(_ node: TestNode) -> Bool {
      let outbound = node.log.ups.filter { $0.direction == .outbound }.count + node.log.failures.count
      return outbound == 1 && node.log.ups.count - node.log.downs.count == 1 && node.endpoint.links.count == 1
    }
    await eventually {
      guard isSettled(one), isSettled(two), let left = one.endpoint.links.first, let right = two.endpoint.links.first
      else {
        return false
      }
      return left.direction != right.direction
    }
    // Each link dialled has one outcome, and the last one standing carries both ways.
    #expect(one.endpoint.send([1], channel: .consensus, to: two.id))
    #expect(two.endpoint.send([2], channel: .consensus, to: one.id))
    await eventually { one.log.received.count == 1 && two.log.received.count == 1 }
    for node in [one, two] {
      #expect(node.log.failures.allSatisfy { $0 == .alreadyLinked })
      #expect(node.log.downs.allSatisfy { $0 == .replaced || $0 == .closedByPeer(.replaced) })
    }
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }
}
