import Testing

@testable import Control

@Suite struct VerdictTests {
  /// A node with nothing to complain about.
  private static let well = NetworkAnswer(
    profile: "lan",
    listening: [
      ListeningAnswer(transport: "udp", address: "0.0.0.0:7447"),
      ListeningAnswer(transport: "tcp", address: "0.0.0.0:7447"),
    ], recordAddresses: ["10.0.0.5:7447"],
    interfaces: [InterfaceAnswer(name: "eth0", addresses: [], isUp: true, beaconIPv4: "joined", beaconIPv6: "unused")],
    observed: [ReportedAddressAnswer(address: "10.0.0.5:7447", reporters: ["b", "c"])],
    dialBacks: [DialBackReport(peer: "b", isReached: true)],
    members: MemberCountsAnswer(alive: 3, down: 1), links: LinkCountsAnswer(inbound: 1, outbound: 2),
    answeringByDatagram: 3, clockOffsetMicroseconds: -99_999, longestDatagramBytes: 1_200,
    counters: ["membership.pingSent": 3])

  private func codes(_ severity: VerdictAnswer.Severity, _ change: (inout NetworkAnswer) -> Void = { _ in }) -> [String]
  {
    var network = Self.well
    change(&network)
    return NetworkVerdict.judge(network).filter { $0.severity == severity }.map(\.code)
  }

  @Test func allIsWell() {
    #expect(codes(.bad).isEmpty && codes(.caution).isEmpty)
    #expect(codes(.good) == ["members", "address", "dialled", "clock"])
  }

  @Test func theWorstComesFirst() {
    var network = Self.well
    network.clockOffsetMicroseconds = 500_000
    network.localHealth = 1
    let severities = NetworkVerdict.judge(network).map(\.severity)
    #expect(severities == [.bad, .caution, .good, .good, .good])
  }

  @Test func aNodeThatIsAlone() {
    func alone(_ network: inout NetworkAnswer) {
      network.members = MemberCountsAnswer()
      network.links = LinkCountsAnswer()
      network.answeringByDatagram = 0
    }
    #expect(codes(.bad, alone) == ["alone"])
    var network = Self.well
    alone(&network)
    network.bootstrap = [BootstrapAnswer(entry: "seed:7447", failure: "refused")]
    #expect(NetworkVerdict.judge(network)[0].text.contains("seed:7447: refused"))
  }

  @Test func aLinkBeforeAnyRecordIsNoFault() {
    var network = Self.well
    network.members = MemberCountsAnswer()
    network.links = LinkCountsAnswer(inbound: 1)
    let first = NetworkVerdict.judge(network)[0]
    #expect(first.code == "members" && first.severity == .good)
    #expect(first.text == "no member is known yet, over 1 link")
  }

  @Test func aSplitIsHalfOfTheKnown() {
    #expect(codes(.bad) { $0.members = MemberCountsAnswer(alive: 2, suspect: 1, down: 2) }.isEmpty)
    #expect(codes(.bad) { $0.members = MemberCountsAnswer(alive: 2, down: 2, left: 9) } == ["split"])
    #expect(codes(.bad) { $0.members = MemberCountsAnswer(alive: 1, down: 1) }.isEmpty)
    #expect(codes(.bad) { $0.members = MemberCountsAnswer(suspect: 1, down: 4) } == ["nobodyAnswers"])
  }

  @Test func addressesAndNAT() {
    #expect(codes(.caution) { $0.recordAddresses = ["10.0.0.6:7447"] } == ["addressDiffers"])
    #expect(codes(.caution) { ($0.isBehindNAT, $0.via) = (true, ["b"]) } == ["nat"])
    #expect(codes(.bad) { $0.isBehindNAT = true } == ["nat"])
    #expect(codes(.good) { $0.observed = [] } == ["members", "dialled", "clock"])
  }

  @Test func dialBacks() {
    let refused = DialBackReport(peer: "b", isReached: false, reason: "timed out")
    let silent = DialBackReport(peer: "c", reason: "no answer in time")
    #expect(codes(.bad) { $0.dialBacks = [refused, silent] } == ["notDialled"])
    #expect(codes(.caution) { $0.dialBacks = [silent] } == ["dialBackUnknown"])
    #expect(codes(.good) { $0.dialBacks.append(refused) }.contains("dialled"))
    #expect(codes(.good) { $0.dialBacks = [] } == ["members", "address", "clock"])
    // It is reached through others, and nobody expects that it can be dialled.
    let behindNAT = codes(.caution) {
      ($0.isBehindNAT, $0.via, $0.dialBacks) = (true, ["b"], [refused])
    }
    #expect(behindNAT == ["nat", "notDialled"])
  }

  @Test func clocks() {
    #expect(codes(.caution) { $0.clockOffsetMicroseconds = 100_000 } == ["clockDiffers"])
    #expect(codes(.bad) { $0.clockOffsetMicroseconds = -500_000 } == ["clockDiffers"])
    #expect(codes(.good) { $0.clockOffsetMicroseconds = nil } == ["members", "address", "dialled"])
    var network = Self.well
    network.clockOffsetMicroseconds = 120_000_000
    #expect(NetworkVerdict.judge(network)[0].text.contains("2m behind most others'"))
  }

  @Test func datagramsBeaconsHealthAndBans() {
    #expect(codes(.bad) { $0.answeringByDatagram = 0 } == ["noDatagrams"])
    // Not when it has just begun.
    #expect(codes(.bad) { ($0.answeringByDatagram, $0.counters) = (0, ["membership.pingSent": 2]) }.isEmpty)
    #expect(codes(.caution) { $0.interfaces[0].beaconIPv4 = "no such device" } == ["noBeacons"])
    #expect(codes(.caution) { ($0.interfaces[0].beaconIPv4, $0.interfaces[0].beaconIPv6) = (nil, nil) }.isEmpty)
    #expect(codes(.caution) { $0.localHealth = 2 } == ["slow"])
    #expect(
      codes(.caution) {
        $0.bans = [BanAnswer(peer: "d", until: WallTime(microsecondsSinceEpoch: 0), reason: "badFrame")]
      } == ["bans"])
  }
}
