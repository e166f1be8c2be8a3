import Foundation
import Glibc
import Testing

extension Acceptance {
  /// Faults of the network between twelve hosts of which four are validators, one fault after another in one lab. What
  /// each is and what must happen: docs/network.md.
  @Suite("network: twelve hosts", .serialized, .lab(hosts: 12, "--validators", "4", "--bootstrap", "1"))
  struct NetFaults {
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
        let before = try lab.downs()
        var seen: Set<String> = []
        for _ in 0..<3 {
          // For three probes: the stop is the fault, and so is each below.
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
        // Also not while nobody was looking.
        #expect(try lab.downs() == before)
      }
    }
  }
}
