import Primitives
import Testing

@testable import NetworkSwitch

/// What arrived of packets that were sent at given times.
private final class Sending {
  var rules: SwitchRules

  init(hosts: Int = 4, seed: UInt64 = 1, _ words: String...) throws {
    rules = SwitchRules(hostCount: hosts, seed: seed)
    try tell(words)
  }

  func tell(_ words: [String], hosts: [String] = [], pairs: [String] = []) throws {
    for action in try SwitchAction.parse(words, hosts: hosts, pairs: pairs, hostCount: rules.hostCount) {
      switch action {
      case .set(let condition, let scope): rules.set(condition, in: scope)
      case .clear(let scope): rules.clear(scope)
      case .partition(let groups): rules.partition(groups)
      case .oneWay(let from, let to): rules.allowOneWay(from: from, to: to)
      case .deaf(let numbers): rules.deafen(numbers)
      case .mute(let numbers): rules.mute(numbers)
      case .heal: rules.heal()
      case .address, .kill, .start: Issue.record("not for the rules: \(action)")
      }
    }
  }

  func send(_ from: Int, _ to: Int, at microseconds: Int64 = 0, bytes: Int = 1_000) -> SwitchVerdict {
    rules.judge(byteCount: bytes, from: from, to: to, now: Instant(microseconds: microseconds))
  }

  /// Microseconds until it arrives; nil when it does not.
  func delay(_ from: Int, _ to: Int, at microseconds: Int64 = 0, bytes: Int = 1_000) -> Int64? {
    guard case .carried(let due, _) = send(from, to, at: microseconds, bytes: bytes) else { return nil }
    return due.microseconds - microseconds
  }

  /// The directions over which a packet does not go.
  func blocked(at microseconds: Int64 = 0) -> Set<String> {
    var found: Set<String> = []
    for from in 1...rules.hostCount {
      for to in 1...rules.hostCount where from != to {
        if send(from, to, at: microseconds) == .dropped(.blocked) { found.insert("\(from)>\(to)") }
      }
    }
    return found
  }
}

@Suite("the rules of the switch") struct SwitchRulesTests {
  @Test("without rules every packet arrives at once, once") func nothing() throws {
    let net = try Sending()
    for number in 0..<100 {
      #expect(net.send(1, 2, at: Int64(number)) == .carried(at: Instant(microseconds: Int64(number)), copies: 1))
    }
    #expect(net.send(1, 5) == .dropped(.blocked) && net.send(0, 1) == .dropped(.blocked), "no such hosts")
  }

  @Test("a delay holds on every path, and the newest counts") func delay() throws {
    let net = try Sending("delay", "25ms")
    #expect(net.delay(1, 2) == 25_000 && net.delay(4, 3) == 25_000)
    try net.tell(["delay", "1.5ms"])
    #expect(net.delay(1, 2, at: 30_000) == 1_500)
    try net.tell(["delay", "0"])
    #expect(net.delay(1, 2, at: 60_000) == 0)
  }

  @Test("jitter spreads the delay over its whole width and keeps the order") func jitter() throws {
    let net = try Sending("delay", "20ms", "jitter", "5ms")
    var seen: [Int64] = []
    var latest: Int64 = 0
    for number in 0..<2_000 {
      // Further apart than the jitter is wide: the order binds no packet.
      let at = Int64(number) * 11_000
      let delay = try #require(net.delay(1, 2, at: at))
      seen.append(delay)
      latest = max(latest, at + delay)
    }
    #expect(seen.allSatisfy { (15_000...25_000).contains($0) })
    #expect(try #require(seen.min()) < 15_200 && #require(seen.max()) > 24_800)
    let mean = seen.reduce(0, +) / Int64(seen.count)
    #expect((19_700...20_300).contains(mean))
    // Far closer together than the jitter is wide: without the order, most would overtake another.
    let start = latest
    for number in 0..<500 {
      let at = start + Int64(number) * 100
      let arrival = at + (try #require(net.delay(1, 2, at: at)))
      #expect(arrival >= latest, "a packet overtook the one before it")
      latest = arrival
    }
  }

  @Test("a jitter wider than the delay never sends a packet into the past") func wideJitter() throws {
    let net = try Sending("delay", "1ms", "jitter", "10ms")
    let all = (0..<500).compactMap { net.delay(1, 2, at: Int64($0) * 100_000) }
    #expect(all.count == 500 && all.min() == 0)
  }

  @Test("a loss takes its share by chance") func loss() throws {
    let net = try Sending("loss", "20%")
    let lost = (0..<10_000).filter { net.send(1, 2, at: Int64($0)) == .dropped(.lost) }.count
    #expect((1_850...2_150).contains(lost))
    #expect(net.rules.traffic(SwitchPath(from: 1, to: 2)).lostPackets == UInt64(lost))
    try net.tell(["loss", "100%"])
    #expect(net.send(2, 1) == .dropped(.lost))
  }

  @Test("duplicates arrive twice") func duplicate() throws {
    let net = try Sending("duplicate", "1%", "delay", "3ms")
    let twice = (0..<20_000).filter {
      net.send(1, 2, at: Int64($0) * 10) == .carried(at: Instant(microseconds: Int64($0) * 10 + 3_000), copies: 2)
    }.count
    #expect((140...260).contains(twice))
    #expect(net.rules.traffic(SwitchPath(from: 1, to: 2)).duplicatedPackets == UInt64(twice))
  }

  @Test("a share of the packets overtakes the others") func reorder() throws {
    let net = try Sending("delay", "10ms", "reorder", "5%")
    var early = 0
    for number in 0..<10_000 {
      let delay = try #require(net.delay(1, 2, at: Int64(number) * 100))
      #expect(delay == 0 || delay == 10_000)
      if delay == 0 { early += 1 }
    }
    #expect((400...600).contains(early))
    #expect(net.rules.traffic(SwitchPath(from: 1, to: 2)).reorderedPackets == UInt64(early))
  }

  @Test("a rate spaces the packets of each direction, and a full queue drops") func rate() throws {
    // A packet of 1,000 bytes takes 8 ms at 1 Mbit/s.
    let net = try Sending("rate", "1mbit", "delay", "5ms")
    #expect(net.delay(1, 2) == 13_000 && net.delay(1, 2) == 21_000 && net.delay(1, 2) == 29_000)
    #expect(net.delay(2, 1) == 13_000, "the other direction is a line of its own")
    #expect(net.delay(1, 3) == 13_000, "and so is another path")
    #expect(net.delay(1, 2, at: 100_000) == 13_000, "an idle line is free at once")
    var carried = 1
    while carried < 1_000, net.delay(1, 2, at: 100_000) != nil { carried += 1 }
    #expect(carried == SwitchRules.maximumQueueBytes / 1_000)
    #expect(net.send(1, 2, at: 100_000) == .dropped(.full))
    #expect(net.delay(1, 2, at: 108_000) != nil, "a packet has left: there is room for one")
    try net.tell(["rate", "0"])
    #expect(net.delay(1, 2, at: 108_000) == 5_000, "no limit any more")
  }

  @Test("a host's rate is shared by all its paths, each direction by itself") func hostRate() throws {
    let net = try Sending()
    try net.tell(["rate", "1mbit"], hosts: ["1"])
    #expect(net.delay(1, 2) == 8_000 && net.delay(1, 3) == 16_000 && net.delay(1, 4) == 24_000)
    #expect(net.delay(2, 1) == 8_000 && net.delay(3, 1) == 16_000)
    #expect(net.delay(2, 3) == 0, "others are as fast as ever")
    try net.tell(["rate", "2mbit"], hosts: ["2"])
    #expect(net.delay(1, 2, at: 1_000_000) == 8_000, "the slower of two lines decides")
  }

  @Test("a fast line rounds to nothing lost or gained") func fastRate() throws {
    let net = try Sending("rate", "10gbit")
    var last: Int64 = 0
    // 20 packets of 1,500 bytes at 10 Gbit/s: 24 µs.
    for _ in 0..<20 { last = try #require(net.delay(1, 2, bytes: 1_500)) }
    #expect(last == 24)
  }

  @Test("a path's setting goes before its hosts', and theirs before that for all, field by field") func scopes() throws
  {
    let net = try Sending("delay", "10ms")
    try net.tell(["delay", "30ms"], hosts: ["2"])
    #expect(net.delay(1, 2) == 30_000 && net.delay(2, 3) == 30_000 && net.delay(1, 3) == 10_000)
    try net.tell(["delay", "4ms"], hosts: ["3"])
    #expect(net.delay(2, 3, at: 100_000) == 34_000, "a packet meets what both ends have")
    try net.tell(["delay", "1ms"], pairs: ["2,3"])
    #expect(net.delay(2, 3, at: 200_000) == 1_000 && net.delay(3, 2, at: 200_000) == 1_000)
    try net.tell(["delay", "2ms"], pairs: ["2>3"])
    #expect(net.delay(2, 3, at: 300_000) == 2_000 && net.delay(3, 2, at: 300_000) == 1_000)
    try net.tell(["loss", "100%"], hosts: ["3"])
    #expect(net.send(2, 3) == .dropped(.lost), "the path says nothing of losses: its hosts do")
    try net.tell(["clear"], pairs: ["2,3"])
    try net.tell(["clear"], hosts: ["3"])
    #expect(net.delay(2, 3, at: 400_000) == 30_000)
    try net.tell(["clear"])
    #expect(net.delay(2, 3, at: 500_000) == 0 && net.rules.view == SwitchRulesView())
  }

  @Test("losses of both ends add up as chances do") func bothLosses() throws {
    let net = try Sending()
    try net.tell(["loss", "50%"], hosts: ["1,2"])
    let lost = (0..<10_000).filter { net.send(1, 2, at: Int64($0)) == .dropped(.lost) }.count
    #expect((7_300...7_700).contains(lost))
  }

  @Test("a partition parts its groups; hosts that none names are one more") func partition() throws {
    let net = try Sending(hosts: 6)
    try net.tell(["partition", "1,2|3"])
    let open: Set<String> = ["1>2", "2>1", "4>5", "5>4", "4>6", "6>4", "5>6", "6>5"]
    var blocked = net.blocked()
    #expect(blocked.isDisjoint(with: open) && blocked.count == 6 * 5 - open.count)
    try net.tell(["partition", "1-3|4-6"])
    blocked = net.blocked()
    #expect(blocked.count == 18 && blocked.contains("3>4") && !blocked.contains("1>3"), "the newest counts")
    try net.tell(["heal"])
    #expect(net.blocked().isEmpty)
    #expect(net.rules.traffic(SwitchPath(from: 3, to: 4)).blockedPackets == 2)
  }

  @Test("one way: there and not back") func oneWay() throws {
    let net = try Sending("oneway", "3>1,2")
    #expect(net.blocked() == ["1>3", "2>3"])
    #expect(net.rules.view.oneWay == [SwitchPath(from: 3, to: 1), SwitchPath(from: 3, to: 2)])
    try net.tell(["heal"])
    #expect(net.blocked().isEmpty)
  }

  @Test("a deaf host receives nothing and sends all") func deaf() throws {
    let net = try Sending("deaf", "4")
    #expect(net.blocked() == ["1>4", "2>4", "3>4"])
    try net.tell(["heal"])
    #expect(net.blocked().isEmpty)
  }

  @Test("a mute host sends nothing and receives all") func mute() throws {
    let net = try Sending("mute", "4")
    #expect(net.blocked() == ["4>1", "4>2", "4>3"])
    try net.tell(["heal"])
    #expect(net.blocked().isEmpty)
  }

  @Test("healing opens the paths and leaves their conditions") func heal() throws {
    let net = try Sending("delay", "7ms", "partition", "1|2-4", "deaf", "3", "heal")
    #expect(net.blocked().isEmpty && net.delay(1, 2) == 7_000)
  }

  @Test("the same seed gives the same fates, another gives others") func seeds() throws {
    func fates(_ seed: UInt64) throws -> [SwitchVerdict] {
      let net = try Sending(
        seed: seed, "delay", "5ms", "jitter", "2ms", "loss", "10%", "duplicate", "5%", "reorder", "5%")
      return (0..<200).map { net.send(1, 2, at: Int64($0) * 1_000) }
    }
    #expect(try fates(7) == fates(7))
    #expect(try fates(7) != fates(8))
  }

  @Test("every packet is counted once") func counts() throws {
    let net = try Sending("loss", "10%", "rate", "1mbit", "duplicate", "10%")
    for number in 0..<2_000 { _ = net.send(1, 2, at: Int64(number) * 100, bytes: 500) }
    let traffic = net.rules.traffic(SwitchPath(from: 1, to: 2))
    #expect(traffic.offeredPackets == 2_000 && traffic.offeredBytes == 1_000_000)
    #expect(traffic.carriedPackets + traffic.lostPackets + traffic.fullPackets == 2_000)
    #expect(traffic.carriedBytes == traffic.carriedPackets * 500 && traffic.fullPackets > 0)
    #expect(net.rules.traffic(SwitchPath(from: 2, to: 1)) == SwitchTraffic())
  }
}
