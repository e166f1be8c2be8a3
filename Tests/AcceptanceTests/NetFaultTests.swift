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
        try lab.together()
        try lab.addressesAreRight()
        measured("twelve hosts made, started, all known to all and with a block, after", text(lab.upSeconds))
      }
    }

    @Test("a node that sends and hears nothing goes down alone, and is back once it hears") func deaf() throws {
      try NetLab.inShared { lab in
        let others = lab.numbers.filter { $0 != 5 }
        let share = lab.net.processorShare()
        try lab.tell("deaf", "5")
        let down = try eventually(within: NetLab.patience, every: 250, "5 is down at all") {
          let states = try lab.states(of: lab.numbers, at: others)
          let wrong = states.filter { $0.of != 5 && $0.state != "alive" && $0.state != "suspect" }
          guard wrong.isEmpty else { throw Trouble("others went down: \(wrong)") }
          return states.allSatisfy { $0.of != 5 || $0.state == "down" }
        }
        expect("a deaf node is down at all the others", took: down, below: 40, share: share.value)
        // It hears of nobody and says so to all, who don't believe it.
        let seen = try lab.watch(seconds: 10, of: others, at: others)
        #expect(seen == [])
        try lab.chainGoesOn(at: [1], everywhere: others)
        try lab.tell("heal")
        expect("back at all after hearing again", took: try lab.together(), below: 30, share: share.value)
      }
    }

    @Test("a host whose address changes is known by the new one") func address() throws {
      try NetLab.inShared { lab in
        let old = lab.hosts[8].addresses[0]
        let others = lab.numbers.filter { $0 != 9 }
        let share = lab.net.processorShare()
        for address in [old.dropLast() + "209", old] {
          try lab.tell("address", "9", address)
          var lost: [Int: ContinuousClock.Instant] = [:]
          var longest = 0.0
          let seconds = try eventually(within: NetLab.patience, every: 100, "9 is known by \(address)") {
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
          expect("known to all by the new address", took: seconds, below: 30, share: share.value)
          expect("held for down, at the longest", took: longest, below: 15, share: share.value)
        }
        try lab.chainGoesOn(at: [9], everywhere: lab.numbers)
      }
    }

    @Test("a host on a slow line holds up nobody else") func slowLink() throws {
      try NetLab.inShared { lab in
        let others = lab.numbers.filter { $0 != 8 }
        // Whatever else goes on here makes one or the other slower, and a host that holds up others does so each time.
        var (quickest, tries, isAsBefore) = (Double.infinity, 0, false)
        while !isAsBefore, tries < 5 {
          tries += 1
          try lab.tell("clear")
          quickest = min(quickest, try lab.finality(at: 5))
          try lab.tell("rate", "64kbit", "--host", "8")
          let during = try lab.finality(at: 5)
          measured(
            "final without and with a host on 64 kbit/s", "\(text(quickest)), \(text(during))", bound: "2 x + 0.2 s")
          isAsBefore = during < 2 * quickest + 0.2
        }
        #expect(isAsBefore, "transfers took longer beside a slow line in each of \(tries) tries")
        let seen = try lab.watch(seconds: 8, of: others, at: others) {
          for host in [1, 6, 12] { try lab.transfer(host) }
        }
        #expect(seen == [])
      }
    }

    @Test("a host short of processor time takes nobody down, and nobody takes it down") func starvation() throws {
      try NetLab.inShared { lab in
        let pid = try lab.net.pid(of: 10)
        defer { kill(pid, SIGCONT) }
        for _ in 0..<3 {
          // For three probes: the stop is the fault.
          try unharmed("stopped for 3 s", lab) { try stop(pid, seconds: 3) }
        }
        try unharmed("a twentieth of a processor for 10 s", lab) {
          let started = ContinuousClock.now
          var longest = 0.0
          while started.secondsAgo < 10 {
            longest = max(longest, try stop(pid, seconds: 0.19))
            try run(pid, seconds: 0.01)
          }
          return longest
        }
      }
    }

    /// A fault, and how long the process was stopped at once, harm nobody. It is done again when this process was held up
    /// meanwhile, and the other stopped for longer than it was to be.
    private func unharmed(_ fault: String, _ lab: NetLab, _ body: () throws -> Double) throws {
      for _ in 0..<10 {
        // What was suspected is over, and counted: the next stop is one of its own.
        try lab.together()
        let before = try lab.downs()
        let longest = try body()
        let seen = try lab.watch(seconds: 3)
        try lab.together()
        guard longest < 3.5 else { continue }
        #expect(seen == [], "\(fault)")
        // Also not while nobody was looking.
        #expect(try lab.downs() == before, "\(fault)")
        return
      }
      throw Trouble("this machine stops for seconds each time: \(fault)")
    }

    /// Stops a process; for how many seconds it was.
    private func stop(_ pid: pid_t, seconds: Double) throws -> Double {
      let started = ContinuousClock.now
      kill(pid, SIGSTOP)
      usleep(UInt32(seconds * 1_000_000))
      kill(pid, SIGCONT)
      return started.secondsAgo
    }

    /// Lets a process run for so long: where others take the processors, until it has had so much of them, or wants none.
    private func run(_ pid: pid_t, seconds: Double) throws {
      let before = try processorNanoseconds(of: pid)
      var wait = UInt32(seconds * 1_000_000)
      repeat {
        usleep(wait)
        wait = 1_000
      } while try Double(processorNanoseconds(of: pid) - before) < seconds * 1e9 && wantsProcessor(pid)
    }

    private func processorNanoseconds(of pid: pid_t) throws -> Int64 {
      var clock = clockid_t()
      var time = timespec()
      guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else {
        throw Trouble("no processor time of \(pid)")
      }
      return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Whether one of its threads runs or waits for a processor.
    private func wantsProcessor(_ pid: pid_t) -> Bool {
      let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
      return threads.contains { thread in
        let stat = try? String(contentsOfFile: "/proc/\(pid)/task/\(thread)/stat", encoding: .utf8)
        return stat?.split(separator: ")").last?.hasPrefix(" R") == true
      }
    }
  }
}
