import Foundation
import Glibc
import Testing

extension Acceptance {
  /// Four validators, and a host whose node is ended when its place is needed for an attacker.
  @Suite("network: packets and clocks", .serialized, .lab(hosts: 5, "--validators", "4", "--lan")) struct NetPackets {
    @Test("a destination that is forbidden or unreachable silences nobody") func forbidden() throws {
      try NetLab.inShared { lab in
        let target = lab.hosts[1].addresses[0]
        // EPERM for every packet to host 2, then EACCES, EHOSTUNREACH and ENETUNREACH.
        try lab.on(
          1, "nft",
          """
          add table ip forbid
          add chain ip forbid out { type filter hook output priority 0; }
          add rule ip forbid out ip daddr \(target) drop
          """)
        #expect(try lab.watch(seconds: 10) == [])
        try lab.on(1, "nft", "delete table ip forbid")
        for kind in ["prohibit", "unreachable", "blackhole"] {
          try lab.on(1, "ip", "route", "add", kind, target)
          #expect(try lab.watch(seconds: 3) == [], "\(kind)")
          try lab.on(1, "ip", "route", "del", kind, target)
        }
        try lab.together(within: 30)
        for other in [2, 3] { try lab.datagramsPass(1, other) }
        try lab.chainGoesOn(at: [1, 2], everywhere: lab.numbers, within: 30)
      }
    }

    private static let python = "/usr/bin/python3"

    // The first: a clock is told by answers to probes, which come seldom once attackers have invented nodes.
    @Test("a clock two minutes fast and then two minutes slow: all stay alive, and the chain goes on") func clocks()
      throws
    {
      try NetLab.inShared { lab in
        for offset in ["+120s", "-120s"] {
          // What it signs is numbered by its clock, and by a mark where that is later, for ten minutes after a start. Without
          // the mark a fast clock shows at once, as that of a host on which it always was fast.
          try lab.stop(4)
          if offset.hasPrefix("+") { try FileManager.default.removeItem(atPath: lab.net.file(4, "sequence")) }
          // The clock by which it waits is left alone.
          try lab.start(
            4,
            environment: [
              "LD_PRELOAD": Requirement.faketime, "FAKETIME": offset,
              "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
            ])
          let seconds = try lab.together(within: 60)
          measured("a validator whose clock is \(offset) is alive at all after", text(seconds), bound: "60 s")
          let seen = try lab.watch(seconds: 8) { for host in [1, 5] { try lab.transfer(host, within: 30) } }
          #expect(seen == [], "\(offset)")
          // What 4 shows goes by its own clock. Others tell its clock by the numbers of its answers, which don't go back.
          let ahead = try #require(Double(offset.dropLast()))
          for host in [1, 2] {
            try clock(of: host, at: 4, isAheadBy: -ahead, lab)
            if ahead > 0 { try clock(of: 4, at: host, isAheadBy: ahead, lab) }
          }
          try lab.chainGoesOn(at: [4], everywhere: lab.numbers, within: 60)
        }
        try lab.stop(4)
        try lab.tell("start", "4")
        try lab.together(within: 60)
      }
    }

    /// `linnet peers` of a host shows how far another's clock is ahead, once answers have come that show it.
    private func clock(of other: Int, at host: Int, isAheadBy expected: Double, _ lab: NetLab) throws {
      let id = try #require(lab.ids[other])
      var shown: Double?
      let seconds = try eventually(within: 60, every: 200, "the clock of \(other) is \(expected) s ahead at \(host)") {
        shown = try lab.net.json([PeerJSON].self, host, "peers").first { $0.id == id }?.clockOffsetMicroseconds.map {
          Double($0) / 1e6
        }
        return shown.map { abs($0 - expected) < 1 } == true
      }
      measured(
        "the clock of \(other), as \(host) shows it after \(text(seconds))", "\(shown ?? 0) s ahead",
        bound: "\(expected) s within 1 s")
    }

    /// Sends datagrams that no Linnet sends: noise of every length, nothing at all, and whatever was heard, cut and bent.
    private static let noise = """
      import os, random, socket, sys
      target, count = (sys.argv[1], 7447), int(sys.argv[2])
      random.seed(7)
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      s.bind(('', 7447))
      s.settimeout(0)
      heard, replies, sent = [], 0, 0
      for i in range(count):
          data = os.urandom(random.choice((0, 1, 16, 17, 33, 49, 150, 1200, 1201, 1472)))
          if i % 3 == 1: data = bytes([random.randrange(6)]) + data[1:]
          if i % 3 == 2 and heard:
              whole = bytearray(random.choice(heard))
              whole[random.randrange(len(whole))] ^= 1 << random.randrange(8)
              data = bytes(whole[:random.randrange(len(whole) + 1)])
          sent += s.sendto(data, target)
          try:
              while True:
                  answer, source = s.recvfrom(2000)
                  if source == target: replies += len(answer)
                  if len(heard) < 100 and answer: heard.append(answer)
          except OSError: pass
      print(sent, replies)
      """

    @Test("malformed datagrams end nothing and are answered with nothing longer") func malformed() throws {
      try NetLab.inShared { lab in
        let pid = try lab.net.pid(of: 1)
        let before = try #require(try lab.status(1)).refused
        // The others still take 5 for alive, and send its address what the attacker may bend.
        try lab.tell("kill", "5")
        defer { _ = try? lab.tell("start", "5") }
        let outcome = try lab.on(
          5, NetPackets.python, "-c", NetPackets.noise, lab.hosts[0].addresses[0], "20000", within: 60)
        // What comes back are pings, which the victim sends anyway, and cookies for what was bent least.
        let bytes = outcome.stdout.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        #expect(bytes.count == 2 && bytes[1] * 10 < bytes[0])
        measured("bytes sent in 20,000 malformed datagrams, and bytes that came back", outcome.stdout, bound: "a tenth")
        #expect(try lab.watch(seconds: 5, of: [1, 2, 3, 4], at: [1, 2, 3, 4]) == [])
        let after = try #require(try lab.status(1)).refused
        let counted = after.filter { $0.key.hasPrefix("udp.") }.reduce(0) { $0 + $1.value - (before[$1.key] ?? 0) }
        #expect(counted > 10_000, "refused and counted: \(after)")
        try lab.datagramsPass(1, 3)
        #expect(try lab.net.pid(of: 1) == pid && kill(pid, 0) == 0)
        try lab.chainGoesOn(at: [1], everywhere: [1, 2, 3, 4], within: 30)
      }
    }

    /// What a malicious node does, for how long, what `linnet peer` says that it did, and whether it is cut off for it.
    struct Attack {
      var mode: String
      var seconds: Int
      var cost: String? = nil
      var isCut = false
      /// What it must have done at least to have been an attack, by the words that it reports in.
      var least: (what: String, count: Int)
    }

    /// Those of a group go on at once. Nothing is charged for what is not in its own name. A flood costs 15 points in each
    /// heartbeat, so that eleven of them are needed.
    static let attacks = [
      [
        Attack(mode: "accuse", seconds: 30, cost: "falseAccusation", isCut: true, least: ("datagrams", 500)),
        Attack(mode: "announce", seconds: 14, cost: "floodAnnounce", isCut: true, least: ("frames", 500)),
        Attack(mode: "dial", seconds: 6, least: ("connections", 1000)),
        Attack(mode: "beacon", seconds: 6, least: ("beacons", 1000)),
      ],
      [
        Attack(mode: "request", seconds: 14, cost: "floodRequest", isCut: true, least: ("frames", 500)),
        Attack(mode: "invalid", seconds: 6, cost: "invalidMessage", isCut: true, least: ("frames", 30)),
        Attack(mode: "replay", seconds: 6, least: ("frames", 1000)),
        Attack(mode: "graft", seconds: 14, cost: "floodControl", isCut: true, least: ("frames", 1000)),
        Attack(mode: "lie", seconds: 6, least: ("frames", 100)),
      ],
    ]

    @Test("malicious nodes harm nobody and are found out", arguments: attacks.map { $0.map(\.mode) }) func malicious(
      modes: [String]
    ) throws {
      let lab = try #require(NetLab.shared)
      try lab.reporting { lab in
        let honest = [1, 2, 3, 4]
        let attacks = NetPackets.attacks.joined().filter { modes.contains($0.mode) }
        // The attackers have its place: it is down at all until the last of the attacks is over.
        if (try? lab.net.pid(of: 5)) != nil { try lab.stop(5) }
        defer { if modes == NetPackets.attacks.last?.map(\.mode) { _ = try? lab.tell("start", "5") } }
        try lab.together(honest, within: 60)
        let before = try lab.finality(at: 1)
        let memory = try honest.map { try lab.residentKilobytes($0) }
        let targets = try honest.map { "\(lab.hosts[$0 - 1].addresses[0]):7447@\(try #require(lab.ids[$0]))" }
        let attackers = try attacks.enumerated().map { index, attack in
          let words = [
            Requirement.malicious, "--mode", attack.mode, "--genesis", lab.net.directory + "/genesis.json", "--listen",
            "\(lab.hosts[4].addresses[0]):\(7_447 + index)", "--seconds", "\(attack.seconds)",
          ]
          return try ChildProcess(lab.inside(5, words + targets))
        }
        try eventually(within: 10, "they say who they are") { attackers.allSatisfy { $0.stdout.contains("\n") } }
        // They behave for two seconds, to be known; the half is for their start.
        usleep(2_500_000)
        var finals: [Double] = []
        var seen: Set<String> = []
        // Each is looked at once it has ended: what it cost fades, half of it in seven heartbeats.
        var left = Array(zip(attacks, attackers))
        while !left.isEmpty {
          seen.formUnion(try lab.watch(seconds: 0.5, of: honest, at: honest))
          for _ in 0..<3 { finals.append(try lab.transfer(1, within: 20)) }
          let ended = left.filter { !$1.isRunning }
          left.removeAll { pair in ended.contains { $0.1 === pair.1 } }
          for (attack, attacker) in ended { try foundOut(attack, attacker, lab, honest) }
        }
        #expect(seen == [])
        // Who lies about addresses is believed by nobody about others.
        for host in honest {
          for (number, peer) in try #require(try lab.peers(host)) where honest.contains(number) {
            #expect(peer.address == lab.hosts[number - 1].addresses[0] + ":7447", "\(number) at \(host)")
          }
        }
        let during = finals.sorted()[finals.count / 2]
        let grown = try zip(honest, memory).map { try lab.residentKilobytes($0) - $1 }.max() ?? 0
        let name = modes.joined(separator: ", ")
        measured("\(name): final before and during", "\(text(before)), \(text(during))", bound: "2 x + 0.1 s")
        measured("\(name): memory grown by", "\(grown) KiB at the most", bound: "65,536 KiB")
        #expect(during < 2 * before + 0.1 && grown < 65_536)
        try lab.chainGoesOn(at: honest, within: 30)
      }
    }

    /// The attacker did what it was told to do, and `linnet peer` says of it what it should.
    private func foundOut(_ attack: Attack, _ attacker: ChildProcess, _ lab: NetLab, _ honest: [Int]) throws {
      let outcome = try attacker.outcome(within: 30)
      #expect(outcome.code == 0, "\(outcome.described)")
      let report = outcome.stdout.split(separator: "\n").last.map(String.init) ?? ""
      measured("what it did", report)
      let counts = report.drop { $0 != ":" }.dropFirst().split(separator: ",").map { $0.split(separator: " ") }
      let count = counts.first { $0.dropLast().joined(separator: " ") == attack.least.what }?.last.flatMap { Int($0) }
      #expect((count ?? 0) >= attack.least.count, "it was no attack: \(report)")
      guard let cost = attack.cost else { return }
      let id = String(outcome.stdout.prefix { !$0.isNewline })
      let charged = try honest.compactMap { host -> PeerDetailJSON.Conduct? in
        let detail = try lab.net.json(PeerDetailJSON.self, host, "peer", id)
        return detail.conduct?.costs.contains { $0.reason == cost } == true ? detail.conduct : nil
      }
      #expect(!charged.isEmpty, "`linnet peer` says that it did \(cost)")
      #expect(charged.allSatisfy { $0.score < 0 || !$0.closings.isEmpty }, "and thinks less of it")
      #expect(charged.contains { !$0.closings.isEmpty } == attack.isCut, "and that it was cut off: \(charged)")
    }
  }
}
