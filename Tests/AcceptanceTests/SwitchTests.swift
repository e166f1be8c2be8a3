import Foundation
import Testing

extension Acceptance {
  /// The switch of the lab by itself, on the packets of real hosts.
  @Suite("the switch", .serialized) struct Switches {
    init() throws { try Requirement.check() }

    @Test("a delay is one way, for both families, and a switch without rules adds next to none") func delay() throws {
      try SwitchNetwork.with(hosts: 3) { net in
        let servers = try net.serve([2])
        for address in [net.hosts[1].ipv4, net.hosts[1].ipv6] {
          try net.tell("clear")
          let before = try quick(net, to: address, count: 100, within: 0...10)
          try net.tell("delay", "25ms")
          let after = try quick(net, to: address, count: 100, within: 50...70)
          measured(
            "round trip to \(address), without and with 25 ms each way",
            "\(before.milliseconds(percent: 50)) ms, \(after.milliseconds(percent: 50)) ms", bound: "10 ms, 50 to 70 ms"
          )
        }
        let late = try net.tell("heal").lateness
        measured("late beyond the delay, 99 of 100", "\(late.p99Microseconds) µs")
        // Of one host alone, and of one direction alone.
        try net.tell("clear")
        try net.tell("delay", "40ms", pair: "1>2")
        _ = try quick(net, to: net.hosts[1].ipv4, count: 50, within: 40...60)
        withExtendedLifetime(servers) {}
      }
    }

    /// Datagrams from host 1 to an address whose round trips take so many milliseconds: each at least the least, and half of
    /// them at most the most. That is tried a few times: whoever waits for a processor here, each of them takes longer.
    private func quick(
      _ net: SwitchNetwork, to address: String, count: Int, within bounds: ClosedRange<Double>
    ) throws -> SwitchNetwork.Seen {
      var median = 0.0
      for _ in 0..<10 {
        let seen = try net.send(1, to: address, count: count)
        #expect(seen.unique.count == count && seen.milliseconds(percent: 0) >= bounds.lowerBound)
        median = seen.milliseconds(percent: 50)
        if median <= bounds.upperBound { return seen }
      }
      throw Trouble("round trips take \(median) ms and not \(bounds)")
    }

    @Test("loss, duplicates and reordering take their shares, and the counters say so exactly") func chances() throws {
      try SwitchNetwork.with(hosts: 2) { net in
        let servers = try net.serve([2])
        let start = try net.tell("loss", "20%", pair: "1>2")
        let seen = try net.send(1, to: net.hosts[1].ipv4, count: 1_000, silenceSeconds: 5, gapMicroseconds: 500)
        let traffic = try #require(try net.tell("clear").traffic(1, 2))
        let before = start.traffic(1, 2)
        let lost = Int(traffic.lostPackets - (before?.lostPackets ?? 0))
        // Neighbour discovery and the like may be among what was lost.
        #expect(abs(1_000 - seen.unique.count - lost) <= 2 && (140...260).contains(lost))
        measured("answers to 1,000 datagrams at 20 % loss", "\(seen.unique.count)", bound: "740 to 860")

        try net.tell("duplicate", "10%", pair: "1>2")
        let twice = try net.send(1, to: net.hosts[1].ipv4, count: 1_000, gapMicroseconds: 500)
        #expect(twice.unique.count == 1_000 && (50...150).contains(twice.numbers.count - 1_000))
        measured("answers to 1,000 datagrams at 10 % duplicates", "\(twice.numbers.count)", bound: "1,050 to 1,150")

        try net.tell("clear")
        try net.tell("delay", "10ms", "jitter", "5ms", pair: "1>2")
        let jittered = try net.send(1, to: net.hosts[1].ipv4, count: 500, gapMicroseconds: 500)
        #expect(jittered.overtaken == 0 && jittered.unique.count == 500, "jitter keeps the order")
        try net.tell("reorder", "5%", "jitter", "0", pair: "1>2")
        let mixed = try net.send(1, to: net.hosts[1].ipv4, count: 1_000, gapMicroseconds: 500)
        #expect(mixed.unique.count == 1_000 && mixed.overtaken >= 15)
        measured("answers that overtook others at 5 % reordering", "\(mixed.overtaken) of 1,000")
        withExtendedLifetime(servers) {}
      }
    }

    @Test("a partition stops everything between its sides and nothing within, and heals at once") func partition()
      throws
    {
      try SwitchNetwork.with(hosts: 4) { net in
        let servers = try net.serve([2, 3])
        #expect(try net.send(1, to: net.hosts[2].ipv4, count: 20).unique.count == 20)
        try net.tell("partition", "1,2|3,4")
        #expect(try net.send(1, to: net.hosts[2].ipv4, count: 20, answers: 0).unique.isEmpty)
        #expect(try net.send(1, to: net.hosts[2].ipv6, count: 20, answers: 0).unique.isEmpty)
        #expect(try net.send(1, to: net.hosts[1].ipv4, count: 20).unique.count == 20)
        #expect(try net.send(4, to: net.hosts[2].ipv4, count: 20).unique.count == 20)
        try eventually(within: NetLab.patience, "what was stopped is counted") {
          try net.tell().traffic(1, 3)?.blockedPackets ?? 0 >= 40
        }
        try net.tell("heal")
        #expect(try net.send(1, to: net.hosts[2].ipv4, count: 20).unique.count == 20)
        withExtendedLifetime(servers) {}
      }
    }

    @Test("one way, deaf and mute cut one direction alone") func directions() throws {
      try SwitchNetwork.with(hosts: 2) { net in
        let servers = try net.serve([2])
        for (words, isHeard) in [(["oneway", "1>2"], true), (["mute", "2"], true), (["deaf", "2"], false)] {
          // The kernels' own multicast may be among what is counted.
          let before = try net.tell("heal")
          try net.tell(words[0], words[1])
          #expect(try net.send(1, to: net.hosts[1].ipv4, count: 20, answers: 0).unique.isEmpty, "\(words)")
          /// How many more packets the switch has counted of those that go one way.
          func counted(
            _ from: Int, _ to: Int, _ which: KeyPath<SwitchNetwork.State.Traffic, UInt64>
          ) throws -> UInt64 {
            try (net.tell().traffic(from, to)?[keyPath: which] ?? 0) - (before.traffic(from, to)?[keyPath: which] ?? 0)
          }
          if isHeard {
            try eventually(within: NetLab.patience, "\(words): those there are carried, and those back are blocked") {
              try counted(1, 2, \.carriedPackets) >= 20 && counted(2, 1, \.blockedPackets) >= 20
            }
          } else {
            try eventually(within: NetLab.patience, "\(words): those there are blocked") {
              try counted(1, 2, \.blockedPackets) >= 20
            }
            #expect(try counted(1, 2, \.carriedPackets) == 0 && counted(2, 1, \.blockedPackets) == 0, "\(words)")
          }
        }
        try net.tell("heal")
        #expect(try net.send(1, to: net.hosts[1].ipv4, count: 20).unique.count == 20)
        withExtendedLifetime(servers) {}
      }
    }

    @Test("a slow line takes its time, and drops what its queue cannot hold") func rate() throws {
      try SwitchNetwork.with(hosts: 2) { net in
        let servers = try net.serve([2])
        try net.tell("rate", "4mbit", pair: "1>2")
        // 1,028 bytes with their headers: 100 of them take 206 ms. More only by chance, where others take the processors.
        try eventually(within: NetLab.patience, "100 datagrams take no longer than the line does") {
          let seen = try net.send(1, to: net.hosts[1].ipv4, count: 100, bytes: 1_000, gapMicroseconds: 0)
          #expect(seen.unique.count == 100 && seen.seconds >= 0.2)
          measured("100 datagrams of 1,028 bytes over 4 Mbit/s", text(seen.seconds), bound: "0.20 to 0.30 s")
          return seen.seconds <= 0.3
        }
        // More than waits for a line, unless they are sent slowly.
        try eventually(within: NetLab.patience, "the queue is full, and what it has no room for is dropped") {
          let before = try #require(try net.tell().traffic(1, 2)).fullPackets
          let flood = try net.send(
            1, to: net.hosts[1].ipv4, count: 600, silenceSeconds: 5, bytes: 1_000, gapMicroseconds: 0)
          let full = try #require(try net.tell().traffic(1, 2)).fullPackets - before
          #expect(flood.unique.count == 600 - Int(full) && flood.unique.count >= 250)
          return full > 0
        }
        withExtendedLifetime(servers) {}
      }
    }

    @Test("multicast reaches every host, over both families") func multicast() throws {
      try SwitchNetwork.with(hosts: 4) { net in
        let servers = try net.serve([2, 3, 4])
        for group in ["239.76.78.7", "ff02::4c4e:7"] {
          let seen = try net.send(1, to: group, count: 10, answers: 30, gapMicroseconds: 20_000)
          #expect(seen.numbers.count == 30 && seen.unique.count == 10, "\(group): \(seen.numbers)")
        }
        try net.tell("deaf", "3")
        let heard = try net.send(1, to: "239.76.78.7", count: 10, answers: 20, gapMicroseconds: 20_000)
        #expect(heard.numbers.count == 20)
        withExtendedLifetime(servers) {}
      }
    }

    @Test("a device that goes, an address that moves and a bad line don't stop the switch") func trouble() throws {
      try SwitchNetwork.with(hosts: 3) { net in
        let servers = try net.serve([2])
        let host = net.hosts[1]
        try Acceptance.must("ip", "-n", host.namespace, "link", "set", host.device, "down")
        #expect(try net.send(1, to: host.ipv4, count: 10, answers: 0).unique.isEmpty)
        try Acceptance.must("ip", "-n", host.namespace, "link", "set", host.device, "up")
        // The kernel takes IPv6 addresses away with the device.
        try Acceptance.must(
          "ip", "-n", host.namespace, "address", "add", host.ipv6 + "/64", "dev", host.device, "nodad")
        #expect(try net.send(1, to: host.ipv4, count: 10).unique.count == 10)

        for (line, reason) in [("not JSON", "no line of"), (#"{"words": ["speed", "5"]}"#, "'speed' is none of")] {
          #expect(try net.ask(Array(line.utf8)).contains(reason))
        }
        #expect(try Sockets.unix([UInt8](repeating: 0x20, count: 100_000), to: net.socket).isEmpty)
        do {
          try net.tell("delay", "20ms", "kill", "1")
          Issue.record("the switch kills nobody")
        } catch let trouble as Trouble {
          #expect(trouble.description.contains("ends no daemons"))
        }
        // All of that was refused, the delay too.
        _ = try quick(net, to: host.ipv4, count: 10, within: 0...10)

        try Acceptance.must("ip", "-n", host.namespace, "address", "add", "10.79.1.102/24", "dev", host.device)
        #expect(try net.send(1, to: "10.79.1.102", count: 10, answers: 0).unique.isEmpty)
        try net.tell("address", "2", "10.79.1.102,\(host.ipv6)")
        #expect(try net.send(1, to: "10.79.1.102", count: 10).unique.count == 10)
        #expect(try net.send(1, to: host.ipv4, count: 10, answers: 0).unique.isEmpty)
        #expect(try net.send(1, to: host.ipv6, count: 10).unique.count == 10)

        // A host that is gone for good costs nothing any more.
        try Acceptance.must("ip", "netns", "del", net.hosts[2].namespace)
        let processor = try processorSeconds(of: net.process.id)
        // A switch that spins would use all of this second.
        usleep(1_000_000)
        #expect(try processorSeconds(of: net.process.id) - processor < 0.2)
        #expect(try net.send(1, to: "10.79.1.102", count: 10).unique.count == 10)
        #expect(net.process.isRunning, "\(net.process.stderr)")
        withExtendedLifetime(servers) {}
      }
    }

    @Test("a second switch at the same socket is refused, and leaves the first alone") func second() throws {
      try SwitchNetwork.with(hosts: 2) { net in
        let outcome = try run([
          Requirement.binary, "testnet", "switch", "--socket", net.socket, "--port", "lnasecond=10.80.0.1",
        ])
        #expect(outcome.code != 0 && outcome.stderr.contains("running at"), "\(outcome.described)")
        try net.tell()
      }
    }
  }
}
