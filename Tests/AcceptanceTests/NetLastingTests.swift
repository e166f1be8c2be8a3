import Foundation
import Testing

extension Acceptance {
  /// Faults that last for longer than timeouts, so that little is done but wait: scripts/test has them go on beside the other
  /// suites.
  @Suite("network: faults that last", .serialized, .lab(hosts: 12, "--validators", "4", "--bootstrap", "1"))
  struct NetLastingFaults {
    /// `make network` takes the time that the issue names; without, what is longer than every timeout has to do.
    private static let isLong = ProcessInfo.processInfo.environment["LINNET_NETWORK_LONG"] == "1"

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
        let split = NetLastingFaults.isLong ? 300.0 : 100.0
        let down = try eventually(within: NetLab.patience, every: 250, "each side holds the other for down") {
          try lab.states(of: sides[1], at: sides[0]).allSatisfy { $0.state == "down" }
            && lab.states(of: sides[0], at: sides[1]).allSatisfy { $0.state == "down" }
        }
        measured("each side holds the other for down after", text(down))
        var other: Set<String> = []
        let within = try lab.watch(seconds: split - down, of: sides[0], at: sides[0]) {
          other.formUnion(try lab.watch(seconds: 0, of: sides[1], at: sides[1]))
        }
        #expect(within == [] && other == [], "each side is whole in itself")
        let before = try #require(try lab.height(1))
        try lab.tell("heal")
        let healed = try lab.together(within: 30)
        measured("one membership again after a split of \(Int(split)) s", text(healed), bound: "30 s")
        let resumed = try lab.transfer(1)
        measured("and the first transfer after that final within", text(resumed.seconds))
        #expect(resumed.height > before)
        try lab.chainGoesOn(at: [1, 3, 5, 12], everywhere: lab.numbers)
        #expect(try lab.numbers.map { try lab.net.pid(of: $0) } == pids, "no node was started again")
      }
    }

    @Test("a path that is open one way alone: nobody goes down, and the chain goes on") func oneWay() throws {
      try NetLab.inShared { lab in
        try lab.tell("oneway", "3>1,2,7")
        let seen = try lab.watch(seconds: NetLastingFaults.isLong ? 180 : 35) { try lab.transfer(1) }
        #expect(seen == [])
        try lab.chainGoesOn(at: [1, 3, 7], everywhere: lab.numbers)
      }
    }

    @Test("a fifth of all packets lost: nobody goes down, and the chain goes on") func loss() throws {
      try NetLab.inShared { lab in
        try lab.tell("loss", "20%")
        var times: [Double] = []
        let seen = try lab.watch(seconds: NetLastingFaults.isLong ? 180 : 30) {
          times.append(try lab.transfer(times.count % 12 + 1).seconds)
        }
        #expect(seen == [])
        measured(
          "final at 20 % loss, median and longest of \(times.count)",
          "\(text(times.sorted()[times.count / 2])), \(text(times.max() ?? 0))")
      }
    }
  }
}
