import Foundation
import Glibc
import Testing

extension Acceptance {
  /// Faults of the network between twelve hosts of which four are validators, one fault after another in one lab. What
  /// each is and what must happen: docs/network.md.
  @Suite("network: twelve hosts", .serialized, .lab(hosts: 12, "--validators", "4", "--bootstrap", "1"))
  struct NetFaults {
    /// `make network` takes the time that the issue names; without, what is longer than every timeout has to do.
    private static let isLong = ProcessInfo.processInfo.environment["LINNET_NETWORK_LONG"] == "1"

    @Test("twelve hosts find each other by one bootstrap address") func bootstrap() throws {
      let lab = try #require(NetLab.shared)
      try lab.reporting { lab in
        for number in lab.numbers {
          let text = try String(contentsOfFile: lab.net.file(number, "node.conf"), encoding: .utf8)
          let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("bootstrap") })
          #expect(line == (number == 1 ? "bootstrap = []" : "bootstrap = [\"\(lab.hosts[0].addresses[0]):7447\"]"))
        }
        try lab.together(within: 5)
        for viewer in lab.numbers {
          for (number, peer) in try #require(try lab.peers(viewer)) {
            #expect(peer.address == lab.hosts[number - 1].addresses[0] + ":7447", "\(number) at \(viewer)")
          }
        }
        measured("twelve hosts made, started, all known to all and with a block, after", text(lab.upSeconds))
      }
    }

    @Test("a split longer than every timeout heals within 30 s without a restart, and the chain goes on") func split()
      throws
    {
      try NetLab.inShared { lab in
        // Two validators on each side: neither side can go on alone.
        let sides = [[1, 2, 5, 6, 7, 8], [3, 4, 9, 10, 11, 12]]
        let pids = try lab.numbers.map { try lab.net.pid(of: $0) }
        try lab.tell("partition", sides.map { $0.map(String.init).joined(separator: ",") }.joined(separator: "|"))
        // An unconfirmed suspicion lasts 26 s among twelve, a silent link 15 s, the longest wait before a member that is
        // down is tried again 60 s, which doubling from 2 s reaches after 62 s: 100 s are longer than all of them.
        let split = NetFaults.isLong ? 300.0 : 100.0
        let down = try eventually(within: 60, every: 250, "each side holds the other for down") {
          try lab.states(of: sides[1], at: sides[0]).allSatisfy { $0.state == "down" }
            && lab.states(of: sides[0], at: sides[1]).allSatisfy { $0.state == "down" }
        }
        measured("each side holds the other for down after", text(down), bound: "60 s")
        let within = try lab.watch(seconds: split - down, of: sides[0], at: sides[0])
        #expect(within == [], "each side is whole in itself")
        #expect(try lab.states(of: sides[1], at: sides[1]).allSatisfy { $0.state == "alive" })
        let before = try #require(try lab.height(1))
        try lab.tell("heal")
        let healed = try lab.together(within: 30)
        measured("one membership again after a split of \(Int(split)) s", text(healed), bound: "30 s")
        let resumed = try lab.transfer(1, within: 60)
        measured("and the first transfer after that final within", text(resumed))
        #expect(try #require(try lab.height(1)) > before)
        try lab.chainGoesOn(at: [1, 3, 5, 12], everywhere: lab.numbers, within: 30)
        #expect(try lab.numbers.map { try lab.net.pid(of: $0) } == pids, "no node was started again")
      }
    }

    @Test("a path that is open one way alone: nobody goes down, and the chain goes on") func oneWay() throws {
      try NetLab.inShared { lab in
        try lab.tell("oneway", "3>1,2,7")
        let seen = try lab.watch(seconds: NetFaults.isLong ? 180 : 35) { try lab.transfer(1, within: 20) }
        #expect(seen == [])
        try lab.chainGoesOn(at: [1, 3, 7], everywhere: lab.numbers, within: 30)
      }
    }

    @Test("a node that sends and hears nothing goes down alone, and is back within 30 s of hearing") func deaf() throws
    {
      try NetLab.inShared { lab in
        let others = lab.numbers.filter { $0 != 5 }
        try lab.tell("deaf", "5")
        let down = try eventually(within: 60, every: 250, "5 is down at all") {
          let states = try lab.states(of: lab.numbers, at: others)
          let wrong = states.filter { $0.of != 5 && $0.state != "alive" && $0.state != "suspect" }
          guard wrong.isEmpty else { throw Trouble("others went down: \(wrong)") }
          return states.allSatisfy { $0.of != 5 || $0.state == "down" }
        }
        measured("a deaf node is down at all the others after", text(down), bound: "40 s")
        #expect(down < 40)
        // It hears of nobody and says so to all, who don't believe it.
        let seen = try lab.watch(seconds: 10, of: others, at: others)
        #expect(seen == [])
        try lab.chainGoesOn(at: [1], everywhere: others, within: 30)
        try lab.tell("heal")
        let back = try lab.together(within: 60)
        measured("back at all after hearing again", text(back), bound: "30 s")
        #expect(back < 30)
      }
    }

    @Test("a fifth of all packets lost: nobody goes down, and the chain goes on") func loss() throws {
      try NetLab.inShared { lab in
        try lab.tell("loss", "20%")
        var times: [Double] = []
        let seen = try lab.watch(seconds: NetFaults.isLong ? 180 : 30) {
          times.append(try lab.transfer(times.count % 12 + 1, within: 60))
        }
        #expect(seen == [])
        measured(
          "final at 20 % loss, median and longest of \(times.count)",
          "\(text(times.sorted()[times.count / 2])), \(text(times.max() ?? 0))")
      }
    }

    @Test("a host whose address changes is known by the new one within 30 s") func address() throws {
      try NetLab.inShared { lab in
        let old = lab.hosts[8].addresses[0]
        let others = lab.numbers.filter { $0 != 9 }
        for address in [old.dropLast() + "209", old] {
          try lab.tell("address", "9", address)
          var lost: [Int: ContinuousClock.Instant] = [:]
          var longest = 0.0
          let seconds = try eventually(within: 60, every: 100, "9 is known by \(address)") {
            var isKnown = true
            for viewer in others {
              let peer = try lab.peers(viewer)?[9]
              if peer?.state == "down" {
                let since = lost[viewer] ?? .now
                lost[viewer] = since
                longest = max(longest, since.secondsAgo)
              } else {
                lost[viewer] = nil
              }
              isKnown = isKnown && peer?.state == "alive" && peer?.address == address + ":7447"
            }
            return isKnown
          }
          measured("known to all by the new address after", text(seconds), bound: "30 s")
          measured("held for down, at the longest", text(longest), bound: "15 s")
          #expect(seconds < 30 && longest < 15)
        }
        try lab.chainGoesOn(at: [9], within: 30)
      }
    }

    @Test("a host on a slow line holds up nobody else") func slowLink() throws {
      try NetLab.inShared { lab in
        let others = lab.numbers.filter { $0 != 8 }
        let before = try lab.finality(at: 5)
        try lab.tell("rate", "64kbit", "--host", "8")
        let during = try lab.finality(at: 5)
        let seen = try lab.watch(seconds: 8, of: others) {
          for host in [1, 6, 12] { try lab.transfer(host, within: 20) }
        }
        #expect(seen == [])
        measured("final without and with a host on 64 kbit/s", "\(text(before)), \(text(during))", bound: "2 x + 0.1 s")
        #expect(during < 2 * before + 0.1)
      }
    }

    @Test("a host short of processor time takes nobody down, and nobody takes it down") func starvation() throws {
      try NetLab.inShared { lab in
        let pid = try lab.net.pid(of: 10)
        defer { kill(pid, SIGCONT) }
        var seen: Set<String> = []
        for _ in 0..<3 {
          kill(pid, SIGSTOP)
          usleep(3_000_000)
          kill(pid, SIGCONT)
          seen.formUnion(try lab.watch(seconds: 1))
        }
        #expect(seen == [], "stopped for 3 s, three times")
        // A twentieth of one processor.
        let started = ContinuousClock.now
        while started.secondsAgo < 10 {
          kill(pid, SIGSTOP)
          usleep(190_000)
          kill(pid, SIGCONT)
          usleep(10_000)
        }
        seen.formUnion(try lab.watch(seconds: 3))
        #expect(seen == [], "a twentieth of a processor for 10 s")
      }
    }
  }
}
