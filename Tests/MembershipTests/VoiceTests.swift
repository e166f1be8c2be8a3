import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: "\(text):7447")! }

/// Who may speak against a member is counted as members change, not by a walk over all of them.
@Suite struct VoiceTests {
  /// The count by a walk.
  private func walked(_ machine: MembershipMachine, against accused: NodeID) -> Int {
    let needed = min(machine.settings.maximumAccusersNeeded, (machine.activeCount + 2) / 3)
    var voices = Voices(privateIsOne: !machine.isAmongPrivate)
    for (member, entry) in machine.entries where entry.isActive && member != accused {
      if entry.state == .suspect, entry.accusations.contains(machine.id) { continue }
      voices.add(entry.verified)
    }
    return min(needed, voices.count + 1)
  }

  @Test(arguments: [1, 2] as [UInt64], [4, MembershipSettings.memberBound])
  func whatIsCountedIsWhatAWalkWouldFind(seed: UInt64, detailed: Int) {
    var settings = MembershipSettings.lan
    settings.detailedMembers = detailed
    settings.maximumUnseen = 20
    var bench = Bench(0, settings: settings)
    bench.others = (1...24).map { StandIn.identity($0) }
    var generator = SeededGenerator(seed: seed)
    var found = OrderedSet<Int>()
    for turn in 0..<1_500 {
      bench.now = bench.now + generator.span(upTo: .milliseconds(400))
      let number = 1 + generator.index(below: 24)
      let member = bench.others[number - 1].id
      let claim =
        number % 3 == 0 ? place("10.0.0.\(number)") : place("203.0.\(generator.index(below: 3)).\(number)")
      switch generator.index(below: 12) {
      case 0: _ = bench.feed(.members([bench.seal(number, .leave)], from: member))
      case 1: _ = bench.feed(.linkUp(member, claim, isOutbound: false))
      case 2: _ = bench.feed(.linkDown(member))
      case 3, 4: _ = bench.accuse(1 + generator.index(below: 24), by: number)
      case 5:
        var effects: [MembershipEffect] = []
        bench.machine.accuse(member, bench.now, &bench.identity, &effects)
      case 6: bench.machine.forget(member)
      case 7:
        let isThere = generator.chance(partsPerMillion: 500_000)
        _ = bench.feed(.interfaces([isThere ? place("10.0.0.99") : place("203.0.113.5")]))
      case 8: _ = bench.feed(.tick)
      default: _ = bench.introduce(number, addresses: [claim], isVerified: generator.chance(partsPerMillion: 300_000))
      }
      guard turn % 10 == 0 else { continue }
      for other in bench.others {
        let needed = bench.machine.accusersNeeded(against: other.id)
        #expect(needed == walked(bench.machine, against: other.id), "turn \(turn)")
        found.insert(needed)
      }
    }
    #expect(found.members == [1, 2, 3])
  }

  @Test func nothingIsWalked() {
    var bench = Bench(0, settings: .quiet)
    bench.others = (1...30).map { StandIn.identity($0) }
    for number in 1...30 { _ = bench.introduce(number, addresses: [place("198.51.\(number).1")]) }
    let accused = bench.others[0].id
    #expect(bench.machine.accusersNeeded(against: accused) == 3)
    // Though the members are there still.
    bench.machine.entries.voices = PrefixIndex()
    #expect(bench.machine.accusersNeeded(against: accused) == 1)
  }

  private func introduceAll(_ bench: inout Bench, except number: Int? = nil) {
    for other in 1...bench.others.count {
      let claim = place("10.0.\(other % 200).\(other / 200 + 1)")
      _ = bench.introduce(other, addresses: [claim], isVerified: other != number)
    }
  }

  /// Many that one liar accuses cost a bounded number of looks a second, however long it goes on.
  @Test func theMoreAreSuspectTheRarerIsEachLookedAtAgain() {
    var settings = MembershipSettings.quiet
    settings.suspicionBase = .milliseconds(100)
    var bench = Bench(0, settings: settings)
    let count = 600
    bench.others = (1...count).map { StandIn.identity($0) }
    introduceAll(&bench)
    for number in 2...count { _ = bench.accuse(number, by: 1) }
    _ = bench.run(until: bench.now + .seconds(5))
    #expect(bench.machine.count(of: .suspect) == count - 1)
    var looks = 0
    var before: [Instant?] = []
    let end = bench.now + .seconds(10)
    while let wake = bench.machine.nextWake, wake <= end {
      bench.now = max(bench.now, wake)
      before = bench.others.map { bench.machine.deadlines[.suspicion($0.id)] }
      _ = bench.feed(.tick)
      looks += zip(bench.others, before).count { bench.machine.deadlines[.suspicion($0.id)] != $1 }
    }
    #expect((5_000...11_000).contains(looks), "\(looks)")
    // One at a time is looked at as often as ever.
    introduceAll(&bench)
    _ = bench.accuse(2, by: 1)
    _ = bench.run(until: bench.now + .seconds(5))
    let next = bench.machine.deadlines[.suspicion(bench.others[1].id)]
    #expect(next.map { $0 - bench.now <= settings.suspicionBase } == true)
  }

  @Test func anAccuserThatIsSureAtLastHasOnlySoManyLookedAt() {
    var bench = Bench(0, settings: .quiet)
    let count = MembershipMachine.maximumReviews + 200
    bench.others = (1...count).map { StandIn.identity($0) }
    introduceAll(&bench, except: 1)
    for number in 2...count { _ = bench.accuse(number, by: 1) }
    let accused = bench.others.dropFirst().map(\.id)
    // Where they stand does not matter here, only that they are set anew.
    let far = bench.now + .seconds(10_000)
    for member in accused { bench.machine.deadlines.set(.suspicion(member), at: far) }
    _ = bench.machine.entries.modify(bench.others[0].id) { $0.verified = place("10.0.1.1") }
    var effects: [MembershipEffect] = []
    bench.machine.accuserVerified(bench.others[0].id, bench.now, &effects)
    #expect(accused.count { bench.machine.deadlines[.suspicion($0)] != far } == MembershipMachine.maximumReviews)
  }
}
