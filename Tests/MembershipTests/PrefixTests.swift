import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: "\(text):7447")! }

/// Accusers of one public prefix count as one. Hosts of a rented rack have nobody else.
@Suite struct PrefixTests {
  @Test(arguments: [1, 2]) func aDeathInOneOrTwoPublicPrefixesIsKnown(prefixes: Int) {
    var network = VirtualNetwork(12, seed: 21) { place("203.0.\($0 % prefixes).\($0 + 1)") }
    network.joinAll()
    network.run(for: .seconds(20))
    network.kill(5)
    network.run(for: .seconds(45))
    let isKnown = network.everyone(sees: .down, of: 5)
    #expect(isKnown)
    #expect(network.changes(to: .down).allSatisfy { $0.target == 5 })
  }

  @Test(arguments: [23, 24, 25] as [UInt64]) func aSplitBetweenTwoPublicPrefixesIsSeenByBothAndHeals(seed: UInt64) {
    var network = VirtualNetwork(12, seed: seed) { place("203.0.\($0 / 6).\($0 + 1)") }
    network.joinAll()
    network.run(for: .seconds(20))
    for number in 6..<12 { network.side[number] = 1 }
    for one in 0..<6 { for other in 6..<12 { network.unlink(one, other) } }
    network.run(for: .seconds(90))
    for host in network.hosts { #expect(host.machine.count(of: .down) == 6) }
    #expect(network.changes(to: .down).allSatisfy { $0.observer / 6 != $0.target / 6 })
    for number in 6..<12 { network.side[number] = 0 }
    network.run(for: .seconds(75))
    let allSeeAll = network.allSeeAll
    #expect(allSeeAll)
  }

  @Test func aLiarWithFiftyIdentitiesInOnePrefixTakesNobodyDown() {
    let honest = 12
    var network = VirtualNetwork(honest, seed: 26) { place("198.51.\($0 % 3).\($0 + 1)") }
    network.joinAll()
    network.run(for: .seconds(20))
    var liars = (100..<150).map { StandIn.identity($0) }
    for observer in 0..<honest {
      let records = liars.indices.map { number in
        var own = record(number, addresses: [place("203.0.113.\(number + 1)")])
        own.expiresUnixSeconds = lasting
        return liars[number].seal(.nodeRecord(own), now: network.now)
      }
      network.step(observer, .members(records, from: liars[0].id))
    }
    for second in 0..<30 {
      for number in 0..<5 {
        let liar = (second * 5 + number) % liars.count
        for target in 0..<honest {
          let incarnation = network.hosts[target].machine.ownRecord.value.sequence
          let lie = liars[liar].seal(
            .accusation(Accusation(accused: network.id(target), incarnation: incarnation)), now: network.now)
          for observer in 0..<honest { network.step(observer, .members([lie], from: liars[liar].id)) }
        }
      }
      network.run(for: .seconds(1))
    }
    #expect(network.counted("refuted") > 0)
    let isLiar = OrderedSet(liars.map(\.id))
    let hurt = network.hosts.flatMap { $0.changes }.filter { $0.to == .down && !isLiar.contains($0.id) }
    #expect(hurt.isEmpty)
  }

  /// The rule itself: what is needed is what can stand, and lies do not lower it.
  @Test func noMoreAccusersAreNeededThanCanStand() {
    func needed(_ prefixes: [Int], _ prepare: (inout Bench) -> Void = { _ in }) -> Int {
      var bench = Bench(0)
      bench.others = prefixes.indices.map { StandIn.identity($0 + 1) }
      for (index, prefix) in prefixes.enumerated() {
        _ = bench.introduce(index + 1, addresses: [place("203.0.\(prefix).\(index + 1)")])
      }
      prepare(&bench)
      return bench.machine.accusersNeeded(against: bench.others[0].id)
    }
    let rack = [Int](repeating: 0, count: 11)
    let two = (0..<11).map { $0 % 2 }
    let three = (0..<11).map { $0 % 3 }
    #expect(needed(rack) == 2)
    #expect(needed(two) == 3)
    #expect(needed(three) == 3)
    // The accused can't speak against itself.
    #expect(needed([1] + [Int](repeating: 0, count: 10)) == 2)
    // Lies about all others but the liars' own lower nothing.
    let lied = needed(three) { bench in for accused in 1...10 { _ = bench.accuse(accused, by: 11) } }
    #expect(lied == 3)
    // Whom this node accuses itself it does not wait for.
    let alone = needed(two) { bench in
      for accused in bench.others.indices where accused % 2 == 1 {
        var effects: [MembershipEffect] = []
        bench.machine.accuse(bench.others[accused].id, bench.now, &bench.identity, &effects)
      }
    }
    #expect(alone == 2)
  }
}
