import Primitives
import Testing
import Wire

@testable import Membership

extension MembershipMachine {
  /// The digest made anew from what the machine shows.
  fileprivate var expectedDigest: MemberDigest? {
    var buckets = [MemberDigest.Bucket](repeating: .empty, count: MemberDigest.maximumBuckets)
    func add(_ member: NodeID, _ sequence: UInt64, _ hasLeft: Bool) {
      let number = MemberDigest.bucket(of: member, count: MemberDigest.maximumBuckets)
      buckets[number] ^= MemberDigest.Bucket(member: member, sequence: sequence, hasLeft: hasLeft)
    }
    add(id, ownRecord.sequence, false)
    for (member, entry) in entries where entry.state != .down {
      add(member, entry.farewell?.sequence ?? entry.record.sequence, entry.state == .left)
    }
    return MemberDigest(buckets: buckets)?.folded(to: digest?.buckets.count ?? 0)
  }
}

/// What one machine sends over links.
private struct Said {
  var words: [[Envelope]] = []
  var digests: [MemberDigest] = []
  var requests: [MemberRequest] = []

  init(_ effects: [MembershipEffect]) {
    for effect in effects {
      switch effect {
      case .exchange(let message, _): words.append(message)
      case .digest(let digest, _): digests.append(digest)
      case .memberRequest(let request, _): requests.append(request)
      default: break
      }
    }
  }
}

@Suite struct AntiEntropyTests {
  private let everything = MemberRequest(count: 16, buckets: Array(0..<16))!

  /// A machine that knows `count` members, the first of which is linked.
  private func bench(_ count: Int) -> Bench {
    var bench = Bench(0)
    bench.others = (1...count).map { StandIn.identity($0) }
    for number in 1...count { _ = bench.introduce(number, addresses: [address(1 + number % 60)]) }
    _ = bench.feed(.linkUp(bench.others[0].id, address(1), isOutbound: true))
    return bench
  }

  @Test func theDigestFollowsEveryChange() {
    var bench = self.bench(6)
    func check(_ bench: Bench, _ at: SourceLocation = #_sourceLocation) {
      #expect(bench.machine.digest == bench.machine.expectedDigest, sourceLocation: at)
    }
    check(bench)
    bench.now = bench.now + .seconds(1)
    _ = bench.introduce(2)
    check(bench)
    _ = bench.accuse(3, by: 2)
    _ = bench.accuse(3, by: 4)
    check(bench)
    _ = bench.run(until: bench.now + .seconds(200))
    #expect(bench.state(3) == .down)
    check(bench)
    _ = bench.introduce(3)
    check(bench)
    for _ in 0..<2 {
      bench.now = bench.now + .seconds(1)
      _ = bench.feed(.members([bench.seal(5, .leave)], from: bench.others[4].id))
      #expect(bench.state(5) == .left)
      check(bench)
    }
    bench.machine.forget(bench.others[5].id)
    check(bench)
    var effects: [MembershipEffect] = []
    bench.machine.renewOwnRecord(bench.now, &bench.identity, &effects)
    check(bench)
  }

  @Test func aLinkBeginsWithADigestAndEqualTablesEndThere() {
    var bench = Bench(3)
    let peer = bench.others[0].id
    let said = Said(bench.feed(.linkUp(peer, address(1), isOutbound: true)))
    #expect(said.words == [[bench.machine.ownRecord.value.envelope]])
    #expect(said.digests == [bench.machine.digest] && said.requests.isEmpty)
    let answer = Said(bench.feed(.digest(said.digests[0], from: peer)))
    #expect(answer.words.isEmpty && answer.requests.isEmpty)
    #expect(bench.counted("digestEqual") == 1)
  }

  @Test func whatDiffersIsSentOnceAndAskedForUnlessThePeerKnows() {
    var bench = Bench(3)
    let peer = bench.others[0].id
    _ = bench.feed(.linkUp(peer, address(1), isOutbound: true))
    let other = MemberDigest(buckets: [MemberDigest.Bucket](repeating: .empty, count: 16))!
    let first = Said(bench.feed(.digest(other, from: peer)))
    // The peer itself is not told of itself. It has this node's digest, so it sends what it has unasked.
    let told = OrderedSet(first.words.flatMap { $0 }.map(\.author))
    #expect(told == OrderedSet([bench.others[1].id, bench.others[2].id]) && first.requests.isEmpty)
    #expect(Said(bench.feed(.digest(other, from: peer))).words.isEmpty)
    #expect(bench.counted("digestTooOften") == 1 && bench.counted("digestDiffers") == 1)
    // Later it must be asked. A bucket that is equal is neither sent nor asked for.
    bench.now = bench.now + .seconds(16)
    let later = Said(bench.feed(.digest(other, from: peer)))
    #expect(later.requests.map { Int($0.bucketCount) } == [16] && !later.words.isEmpty)
    let isFull = OrderedSet((bench.machine.members.map(\.id) + [bench.identity.id]).map { UInt8($0.value[0] / 16) })
    #expect(later.requests.first?.buckets == isFull.members)
    // Requests have a pace of their own.
    #expect(!Said(bench.feed(.memberRequest(everything, from: peer))).words.isEmpty)
    #expect(Said(bench.feed(.memberRequest(everything, from: peer))).words.isEmpty)
    #expect(bench.counted("requestTooOften") == 1)
  }

  @Test func onlyLinksAreAnswered() {
    var bench = Bench(3)
    let digest = MemberDigest(buckets: [MemberDigest.Bucket](repeating: .empty, count: 16))!
    #expect(bench.feed(.digest(digest, from: bench.others[0].id)).isEmpty)
    #expect(bench.feed(.memberRequest(everything, from: bench.others[0].id)).isEmpty)
    #expect(bench.counted("digestWithoutLink") == 1 && bench.counted("requestWithoutLink") == 1)
  }

  @Test func anAnswerIsBoundedAndTheNextGoesOnWhereItEnded() {
    var bench = self.bench(3_000)
    let peer = bench.others[0].id
    let digest = MemberDigest(buckets: [MemberDigest.Bucket](repeating: .empty, count: 16))!
    #expect(bench.machine.digest?.buckets.count == 256)
    var told = OrderedSet<NodeID>()
    for _ in 0..<2 {
      bench.now = bench.now + .seconds(16)
      let answer = Said(bench.feed(.digest(digest, from: peer))).words
      #expect(answer.count <= 4 && answer.allSatisfy { $0.count <= 512 })
      for word in answer.flatMap({ $0 }) { told.insert(word.author) }
    }
    #expect(told.count == 2_999)
  }

  @Test func oneMemberMoreCostsOneBucket() {
    var bench = self.bench(1_000)
    let before = bench.machine.expectedDigest!
    bench.others.append(StandIn.identity(5_000))
    _ = bench.introduce(1_001, addresses: [address(1)])
    bench.now = bench.now + .seconds(31)
    let answer = Said(bench.feed(.digest(before, from: bench.others[0].id)))
    let told = answer.words.flatMap { $0 }
    #expect(told.contains { $0.author == bench.others[1_000].id } && told.count < 30)
    #expect(answer.requests.map(\.buckets.count) == [1])
  }

  @Test func whoIsDownIsNotOfferedButWhatStandsAgainstItIs() {
    var bench = self.bench(4)
    _ = bench.accuse(3, by: 2)
    _ = bench.accuse(3, by: 4)
    _ = bench.run(until: bench.now + .seconds(200))
    #expect(bench.state(3) == .down)
    let answer = Said(bench.feed(.memberRequest(everything, from: bench.others[0].id))).words.flatMap { $0 }
    let aboutIt = answer.filter { word in
      guard case .accusation(let body)? = try? MessageBody(kind: word.kind, payload: word.payload) else {
        return word.author == bench.others[2].id
      }
      return body.accused == bench.others[2].id
    }
    #expect(!aboutIt.isEmpty && aboutIt.allSatisfy { $0.kind == .accusation })
  }

  @Test func aDigestThatIsMadeUpAnewEachTimeCostsABoundedAmount() {
    var bench = self.bench(1_000)
    var generator = SeededGenerator(seed: 1)
    var words = 0
    let peer = bench.others[0].id
    let start = bench.now + .seconds(31)
    bench.now = start
    while bench.now < start + .seconds(60) {
      bench.now = bench.now + .milliseconds(50)
      let buckets = (0..<256).map { _ in
        MemberDigest.Bucket(member: peer, sequence: generator.next(), hasLeft: false)
      }
      words += Said(bench.feed(.digest(MemberDigest(buckets: buckets)!, from: peer))).words.flatMap { $0 }.count
      words += Said(bench.feed(.memberRequest(everything, from: peer))).words.flatMap { $0 }.count
    }
    // Two kinds of answer, each at most every 15 seconds, of a thousand records.
    #expect(words <= 2 * 4 * 1_000 && words > 0)
  }

  @Test func anAgreeingNetworkSendsDigestsAndNoTables() {
    var network = VirtualNetwork(16, seed: 31)
    network.joinAll()
    network.run(for: .seconds(200))
    let digests = network.hosts.map(\.machine.digest)
    #expect(digests.allSatisfy { $0 == digests[0] && $0 != nil })
    let before = (network.counted("digestDiffers"), network.counted("digestEqual"))
    network.run(for: .seconds(300))
    #expect(network.counted("digestDiffers") == before.0)
    #expect(network.counted("digestEqual") >= before.1 + 16 * 8)
    #expect(network.counted("digestTooOften") == 0 && network.counted("requestTooOften") == 0)
  }

  /// Two halves that know nothing of each other meet by one link, with rumours and news silenced by then.
  @Test func twoTablesBecomeOneOverOneLink() {
    var network = VirtualNetwork(12, seed: 32)
    for number in 1..<6 { network.link(number, 0) }
    for number in 7..<12 { network.link(number, 6) }
    network.run(for: .seconds(60))
    #expect(network.state(of: 9, at: 3) == nil)
    network.link(0, 6)
    network.run(for: .milliseconds(20))
    let known = network.hosts[0].machine.aliveCount
    #expect(known == 12)
    network.run(for: .seconds(40))
    let allSeeAll = network.allSeeAll
    #expect(allSeeAll)
  }
}
