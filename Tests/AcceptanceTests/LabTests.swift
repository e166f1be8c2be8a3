import Foundation
import Glibc
import Testing

extension Acceptance {
  /// `linnet testnet up --hosts`: nodes in network namespaces, and what is left of them.
  @Suite("the lab", .serialized) struct Labs {
    init() throws { try Requirement.check() }

    private struct Plan: Decodable {
      struct Host: Decodable {
        var namespace: String
        var addresses: [String]
      }
      var tag: String
      var hosts: [Host]
    }

    private func plan(_ net: LocalTestnet) throws -> Plan {
      try JSONDecoder().decode(Plan.self, from: Data(contentsOf: URL(fileURLWithPath: net.directory + "/lab.json")))
    }

    private func namespaces(_ tag: String) -> [String] {
      ((try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? []).filter { $0.hasPrefix(tag) }
    }

    private func with(_ options: String..., body: (LocalTestnet) throws -> Void) throws {
      let net = LocalTestnet(scratch: try ScratchDirectory(), count: 4)
      defer { net.scratch.remove() }
      defer { _ = try? net.testnet("down", within: NetLab.patience) }
      do {
        let outcome = try run(
          [Requirement.binary, "testnet", "up", "--dir", net.directory, "--hosts", "4"] + options,
          within: NetLab.patience)
        guard outcome.code == 0 else { throw Trouble("testnet up: \(outcome.described)") }
        try body(net)
      } catch {
        net.printLogs()
        throw error
      }
    }

    private func net(_ net: LocalTestnet, _ words: String...) throws -> Outcome {
      let outcome = try run(
        [Requirement.binary, "testnet", "net", "--dir", net.directory] + words, within: NetLab.patience)
      guard outcome.code == 0 else { throw Trouble("testnet net \(words): \(outcome.described)") }
      return outcome
    }

    @Test("hosts agree through the switch; one that moves, crashes and starts is back") func hosts() throws {
      try with { net in
        _ = try net.agreement(within: NetLab.patience)
        let addresses = try plan(net).hosts.map { $0.addresses[0] }
        try eventually(within: NetLab.patience, "1 knows where the others are") {
          try Set(net.peers(1).map(\.address)) == Set(addresses.dropFirst().map { $0 + ":7447" })
        }
        let shown = try self.net(net, "delay", "25ms", "--pair", "1,2").stdout
        #expect(shown == "delay 25ms --pair '1>2'\ndelay 25ms --pair '2>1'\n")
        #expect(try self.net(net).stdout.contains(addresses[3]))
        let moved = addresses[3] + "0"
        _ = try self.net(net, "clear", "address", "4", moved, "kill", "4")
        #expect(try net.states()[3].pid == nil && plan(net).hosts[3].addresses == [moved])
        _ = try self.net(net, "start", "4")
        let seconds = try eventually(within: NetLab.patience, every: 200, "node 4 is back at its new address") {
          guard let peers = try? net.peers(1) else { return false }
          return peers.contains { $0.state == "alive" && $0.address == moved + ":7447" }
        }
        measured("a node that crashed is alive at its new address after", text(seconds))
      }
    }

    @Test("`down` leaves nothing, whoever was killed before") func leavesNothing() throws {
      try with("--no-wait", "--dual", "--nat", "4") { net in
        let tag = try plan(net).tag
        #expect(namespaces(tag).count == 5, "a router too")
        let daemon = try net.pid(of: 1)
        let switchID = try #require(
          net.processes().first { $0.contains("testnet switch") }?.split(separator: " ").first.flatMap { pid_t($0) })
        kill(switchID, SIGKILL)
        try eventually(within: NetLab.patience, "the switch is gone") { LocalTestnet.isGone(switchID) }
        let refused = try run([Requirement.binary, "testnet", "net", "--dir", net.directory])
        #expect(refused.code != 0 && refused.stderr.contains("no switch answers"))
        // A daemon that no `pid` file names, as one whose starter was killed before it wrote it.
        try FileManager.default.removeItem(atPath: net.directory + "/node1/pid")
        let down = try net.testnet("down", within: NetLab.patience)
        #expect(down.code == 0, "\(down.described)")
        #expect(namespaces(tag).isEmpty && LocalTestnet.isGone(daemon) && net.processes().isEmpty)
      }
    }

    @Test("`down` removes what an `up` that was killed had begun") func killedUp() throws {
      let net = LocalTestnet(scratch: try ScratchDirectory(), count: 4)
      defer { net.scratch.remove() }
      defer { _ = try? net.testnet("down", within: NetLab.patience) }
      let up = try ChildProcess([Requirement.binary, "testnet", "up", "--dir", net.directory, "--hosts", "6"])
      var tag = ""
      try eventually(within: NetLab.patience, every: 1, "the third namespace is there") {
        guard let plan = try? plan(net) else { return false }
        tag = plan.tag
        return namespaces(tag).count >= 3
      }
      up.send(SIGKILL)
      _ = try up.outcome(within: NetLab.patience)
      #expect(try net.testnet("down", within: NetLab.patience).code == 0)
      #expect(namespaces(tag).isEmpty && net.processes().isEmpty)
    }
  }
}
