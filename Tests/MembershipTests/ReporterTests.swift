import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

/// Identities cost nothing, and a datagram's source is what its sender writes. Only who has answered a ping, which went to
/// where it is, has a say in where this node is.
@Suite struct ReporterTests {
  private let here = place("203.0.113.5:7447")
  private let lie = place("198.18.0.66:7447")

  private func bench(_ count: Int, own: PeerAddress, claims: (Int) -> PeerAddress) -> Bench {
    var bench = Bench(0, settings: .quiet)
    _ = bench.feed(.interfaces([own]))
    bench.others = (1...count).map { StandIn.identity($0) }
    for number in 1...count { _ = bench.introduce(number, addresses: [claims(number)], isVerified: false) }
    return bench
  }

  private func ping(_ number: Int, observed: PeerAddress, from source: PeerAddress, _ bench: inout Bench) {
    bench.now = bench.now + .milliseconds(1)
    let ping = Ping(receiver: bench.identity.id, number: 1 << 60, height: 0, observed: observed, rumours: [])
    _ = bench.feed(.datagram(bench.seal(number, .ping(ping)), rumours: [], from: source))
  }

  /// A member answers a ping of this node from some address, and says where it sees this node.
  private func answer(_ number: Int, observed: PeerAddress, from source: PeerAddress, _ bench: inout Bench) {
    var effects: [MembershipEffect] = []
    bench.now = bench.now + .milliseconds(1)
    bench.machine.startProbe(bench.others[number - 1].id, .errand, bench.now, &bench.identity, &effects)
    for (message, _) in sent(effects) {
      guard case .ping(let ping) = message.body else { continue }
      let ack = Ack(receiver: bench.identity.id, number: ping.number, height: 0, observed: observed, rumours: [])
      _ = bench.feed(.datagram(bench.seal(number, .ack(ack)), rumours: [], from: source))
    }
  }

  private func addresses(_ bench: Bench) -> [PeerAddress] {
    if case .nodeRecord(let body) = bench.machine.ownRecord.value.body { body.addresses } else { [] }
  }

  @Test func whoHasNotAnsweredHasNoSay() {
    var bench = bench(20, own: here) { place("198.51.\($0).1:7447") }
    for number in 1...20 { ping(number, observed: lie, from: place("198.51.\(number).1:7447"), &bench) }
    _ = bench.run(until: bench.now + .seconds(10))
    #expect(bench.machine.observations.isEmpty && addresses(bench) == [here])
    // Who has may say so on its pings as well, as long as they come from there.
    answer(1, observed: here, from: place("198.51.1.1:7447"), &bench)
    #expect(bench.machine.observations.map(\.address) == [here])
    ping(1, observed: lie, from: place("192.0.2.1:7447"), &bench)
    #expect(bench.machine.observations.map(\.address) == [here])
    ping(1, observed: lie, from: place("198.51.1.1:7447"), &bench)
    #expect(bench.machine.observations.map(\.address) == [lie])
  }

  @Test func whereItAnsweredFromCountsNotWhatItClaims() {
    var bench = bench(20, own: here) { place("198.51.\($0).1:7447") }
    for number in 1...20 { answer(number, observed: lie, from: place("192.0.2.\(number):7447"), &bench) }
    _ = bench.run(until: bench.now + .seconds(10))
    #expect(bench.machine.observations.count == 1 && addresses(bench) == [here])
  }

  @Test func privateReportersAreOneVoiceForWhoIsOutside() {
    func observed(own: PeerAddress) -> Int {
      var bench = bench(6, own: own) { place("10.0.0.\($0):7447") }
      for number in 1...6 { answer(number, observed: lie, from: place("10.0.0.\(number):7447"), &bench) }
      return bench.machine.observations.count
    }
    #expect(observed(own: here) == 1)
    #expect(observed(own: place("10.0.0.99:7447")) == 6)
  }
}
