import Foundation
import Glibc
import Testing

extension Acceptance {
  /// Four validators, and a host whose node is ended when its place is needed for an attacker.
  @Suite("network: packets and clocks", .serialized, .lab(hosts: 5, "--validators", "4", "--lan")) struct NetPackets {
    @Test("a destination that is forbidden or unreachable silences nobody") func forbidden() throws {
      try NetLab.inShared { lab in
        func count(_ name: String) throws -> UInt64 {
          try #require(try lab.status(1), "1 answers").refused["udp.datagram.\(name)"] ?? 0
        }
        let (lost, failed) = (try count("socketLost"), try count("sendFailed"))
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
        try lab.together()
        // No such send ends a socket.
        #expect(try count("socketLost") == lost && count("sendFailed") > failed)
        for other in [2, 3] { try lab.datagramsPass(1, other) }
        try lab.chainGoesOn(at: [1, 2], everywhere: lab.numbers)
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
          let seconds = try lab.together()
          measured("a validator whose clock is \(offset) is alive at all after", text(seconds))
          let seen = try lab.watch(seconds: 8) { for host in [1, 5] { try lab.transfer(host) } }
          #expect(seen == [], "\(offset)")
          // What 4 shows goes by its own clock. Others tell its clock by the numbers of its answers, which don't go back.
          let ahead = try #require(Double(offset.dropLast()))
          for host in [1, 2] {
            try clock(of: host, at: 4, isAheadBy: -ahead, lab)
            if ahead > 0 { try clock(of: 4, at: host, isAheadBy: ahead, lab) }
          }
          try lab.chainGoesOn(at: [4], everywhere: lab.numbers)
        }
        try lab.stop(4)
        try lab.tell("start", "4")
        try lab.together()
      }
    }

    /// `linnet peers` of a host shows how far another's clock is ahead, once answers have come that show it.
    private func clock(of other: Int, at host: Int, isAheadBy expected: Double, _ lab: NetLab) throws {
      let id = try #require(lab.ids[other])
      var shown: Double?
      let seconds = try eventually(
        within: NetLab.patience, every: 200, "the clock of \(other) is \(expected) s ahead at \(host)"
      ) {
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
      import os, random, socket, sys, time
      target, count = (sys.argv[1], 7447), int(sys.argv[2])
      random.seed(7)
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      s.bind(('', 7447))
      heard, replies, sent = [], 0, 0
      for i in range(count):
          data = os.urandom(random.choice((0, 1, 16, 17, 33, 49, 150, 1200, 1201, 1472)))
          if i % 3 == 1: data = bytes([random.randrange(6)]) + data[1:]
          if i % 3 == 2 and heard:
              whole = bytearray(random.choice(heard))
              whole[random.randrange(len(whole))] ^= 1 << random.randrange(8)
              data = bytes(whole[:random.randrange(len(whole) + 1)])
          sent += s.sendto(data, target)
          # The victim's buffer must not be what refuses them.
          if i % 20 == 19: time.sleep(0.002)
          try:
              while True:
                  answer, source = s.recvfrom(2000, socket.MSG_DONTWAIT)
                  if source == target: replies += len(answer)
                  if len(heard) < 100 and answer: heard.append(answer)
          except OSError: pass
      print(sent, replies)
      """

    @Test("malformed datagrams end nothing and are answered with nothing longer") func malformed() throws {
      try NetLab.inShared { lab in
        let pid = try lab.net.pid(of: 1)
        func refused() throws -> UInt64 {
          try #require(try lab.status(1), "1 answers").refused.filter { $0.key.hasPrefix("udp.") }.values.reduce(0, +)
        }
        // The others still take 5 for alive, and send its address what the attacker may bend.
        try lab.tell("kill", "5")
        defer { _ = try? lab.tell("start", "5") }
        // Again while too few have come: a victim that is short of processor time loses them before it sees them.
        try eventually(within: NetLab.patience, "half of a flood is refused and counted") {
          let before = try refused()
          let outcome = try lab.on(5, NetPackets.python, "-c", NetPackets.noise, lab.hosts[0].addresses[0], "20000")
          // What comes back are pings, which the victim sends anyway, and cookies for what was bent least.
          let bytes = outcome.stdout.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
          #expect(bytes.count == 2 && bytes[1] * 10 < bytes[0])
          measured(
            "bytes sent in 20,000 malformed datagrams, and bytes that came back", outcome.stdout, bound: "a tenth")
          return try refused() - before > 10_000
        }
        #expect(try lab.watch(seconds: 5, of: [1, 2, 3, 4], at: [1, 2, 3, 4]) == [])
        try lab.datagramsPass(1, 3)
        #expect(try lab.net.pid(of: 1) == pid && kill(pid, 0) == 0)
        try lab.chainGoesOn(at: [1], everywhere: [1, 2, 3, 4])
      }
    }

    /// What a malicious node does, for how long at least, and what `linnet peer` says that it was cut off for.
    struct Attack {
      var mode: String
      var seconds: Double
      var cost: String? = nil
      /// What it must have done at least to have been an attack, by the words that it reports in.
      var least: (what: String, count: Int)
    }

    /// Those of a group go on at once, each until it has been found out. Nothing is charged for what is not in its own name.
    static let attacks = [
      [
        Attack(mode: "accuse", seconds: 6, cost: "falseAccusation", least: ("datagrams", 500)),
        Attack(mode: "announce", seconds: 6, cost: "floodAnnounce", least: ("frames", 500)),
        Attack(mode: "dial", seconds: 6, least: ("connections", 1000)),
        Attack(mode: "beacon", seconds: 6, least: ("beacons", 1000)),
      ],
      [
        Attack(mode: "request", seconds: 6, cost: "floodRequest", least: ("frames", 500)),
        Attack(mode: "invalid", seconds: 6, cost: "invalidMessage", least: ("frames", 30)),
        Attack(mode: "replay", seconds: 6, least: ("frames", 1000)),
        Attack(mode: "graft", seconds: 6, cost: "floodControl", least: ("frames", 1000)),
        Attack(mode: "lie", seconds: 6, least: ("frames", 100)),
      ],
    ]

    /// A malicious node that runs.
    private struct Attacker {
      let attack: Attack
      let process: ChildProcess
      var id: String { String(process.stdout.prefix { !$0.isNewline }) }
      /// The last whole line in which it says what it did, and at the end all of it.
      var report: String {
        process.stdout.split(separator: "\n").last { $0.hasPrefix(attack.mode + ": ") }.map(String.init) ?? ""
      }

      /// It did what it was told to do.
      var hasAttacked: Bool {
        let counts = report.drop { $0 != ":" }.dropFirst().split(separator: ",").map { $0.split(separator: " ") }
        let count = counts.first { $0.dropLast().joined(separator: " ") == attack.least.what }?.last.flatMap { Int($0) }
        return (count ?? 0) >= attack.least.count
      }
    }

    @Test("malicious nodes harm nobody and are found out", arguments: attacks.map { $0.map(\.mode) }) func malicious(
      modes: [String]
    ) throws {
      let lab = try #require(NetLab.shared)
      try lab.reporting { lab in
        let honest = [1, 2, 3, 4]
        // The attackers have its place: it is down at all until the last of the attacks is over.
        if (try? lab.net.pid(of: 5)) != nil { try lab.stop(5) }
        defer { if modes == NetPackets.attacks.last?.map(\.mode) { _ = try? lab.tell("start", "5") } }
        try lab.together(honest)
        let share = lab.net.processorShare()
        let before = try lab.finality(at: 1)
        let memory = try honest.map { try lab.residentKilobytes($0) }
        let attackers = try start(NetPackets.attacks.joined().filter { modes.contains($0.mode) }, against: honest, lab)
        let started = ContinuousClock.now
        var finals: [Double] = []
        var seen: Set<String> = []
        var left = attackers
        while !left.isEmpty {
          seen.formUnion(try lab.watch(seconds: 0.5, of: honest, at: honest))
          // Who lies about addresses is believed by nobody about others.
          seen.formUnion(try lab.wrongAddresses(of: honest, at: honest))
          for _ in 0..<3 { finals.append(try lab.transfer(1).seconds) }
          let ended = try left.filter { attacker in
            guard started.secondsAgo > attacker.attack.seconds, attacker.hasAttacked else { return false }
            return try isFoundOut(attacker, lab, honest)
          }
          for attacker in ended { try end(attacker) }
          left.removeAll { attacker in ended.contains { $0.process === attacker.process } }
          guard started.secondsAgo < 2 * NetLab.patience || left.isEmpty else {
            throw Trouble("not found out, or no attack: \(left.map { "\($0.report), \($0.process.stderr)" })")
          }
        }
        #expect(seen == [])
        let during = finals.sorted()[finals.count / 2]
        let grown = try zip(honest, memory).map { try lab.residentKilobytes($0) - $1 }.max() ?? 0
        let name = modes.joined(separator: ", ")
        measured("\(name): found out, and stopped, after", text(started.secondsAgo))
        expect("\(name): final, \(text(before)) before", took: during, below: 2 * before + 0.5, share: share.value)
        measured("\(name): memory grown by", "\(grown) KiB at the most", bound: "65,536 KiB")
        #expect(grown < 65_536)
        try lab.chainGoesOn(at: honest)
      }
    }

    /// Starts attackers at the place of host 5.
    private func start(_ attacks: [Attack], against honest: [Int], _ lab: NetLab) throws -> [Attacker] {
      let targets = try honest.map { "\(lab.hosts[$0 - 1].addresses[0]):7447@\(try #require(lab.ids[$0]))" }
      let attackers = try attacks.enumerated().map { index, attack in
        let words = [
          Requirement.malicious, "--mode", attack.mode, "--genesis", lab.net.directory + "/genesis.json", "--listen",
          "\(lab.hosts[4].addresses[0]):\(7_447 + index)", "--seconds", "\(Int(4 * NetLab.patience))",
        ]
        return Attacker(attack: attack, process: try ChildProcess(lab.inside(5, words + targets)))
      }
      try eventually(within: NetLab.patience, "they behaved until they were known, and begin to attack") {
        for attacker in attackers where !attacker.process.isRunning { throw Trouble(attacker.process.stderr) }
        return attackers.allSatisfy { !$0.report.isEmpty }
      }
      return attackers
    }

    /// `linnet peer` says at one of them what it did, and that it was cut off.
    private func isFoundOut(_ attacker: Attacker, _ lab: NetLab, _ honest: [Int]) throws -> Bool {
      guard let cost = attacker.attack.cost else { return true }
      return try honest.contains { host in
        let outcome = try lab.net.linnet(host, "peer", attacker.id, "--json")
        // Who was never heard here is not known here.
        guard outcome.code == 0 else { return false }
        let conduct = try LocalTestnet.decode(PeerDetailJSON.self, outcome).conduct
        return conduct.map { $0.costs.contains { $0.reason == cost } && !$0.closings.isEmpty } == true
      }
    }

    /// Tells an attacker to stop; it must have gone on until then.
    private func end(_ attacker: Attacker) throws {
      attacker.process.send(SIGTERM)
      let outcome = try attacker.process.outcome(within: NetLab.patience)
      #expect(outcome.code == 0, "\(outcome.described)")
      measured("what it did", attacker.report)
    }
  }
}
