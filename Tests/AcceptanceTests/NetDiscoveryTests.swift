import Foundation
import Glibc
import Testing

extension Acceptance {
  /// Twelve hosts find each other again and again, each time by one way alone.
  @Suite("network: discovery", .serialized, .lab(hosts: 12, "--validators", "4")) struct NetDiscovery {
    /// The host that others are told of: no validator, so that the chain goes on without it.
    private static let entrance = 12

    /// Stops all nodes; what they learned of others is forgotten unless it is asked to stay.
    private func stopAll(_ lab: NetLab, keepingBooks: Bool = false) throws {
      try lab.tell("heal", "clear")
      for host in lab.numbers {
        // As an operator stops it: what it learned is written then.
        try lab.stop(host, by: SIGTERM)
        if !keepingBooks { try? FileManager.default.removeItem(atPath: lab.net.file(host, "peers")) }
      }
    }

    private func startAll(_ lab: NetLab, _ hosts: [Int]) throws {
      for host in hosts {
        try lab.start(host, environment: ["LINNET_CONTROL_SOCKET": lab.net.file(host, "control.sock")])
      }
    }

    @Test("twelve hosts find each other by an invite alone") func invite() throws {
      let lab = try #require(NetLab.shared)
      try lab.reporting { lab in
        try stopAll(lab)
        let entrance = NetDiscovery.entrance
        try lab.configure(entrance) { $0 = NetHosts.bootstrap($0) }
        try startAll(lab, [entrance])
        try eventually(within: NetLab.patience, "the entrance answers") { try lab.status(entrance) != nil }
        let invite = try lab.net.linnet(entrance, "invite")
        #expect(invite.code == 0, "\(invite.described)")
        for host in lab.numbers where host != entrance {
          // A validator keeps its key and its votes; of the others nothing is left. Nobody has a genesis or a node.conf.
          let kept = host <= 4 ? ["node.key", "node.key.never-voted", "journal", "log"] : ["log"]
          for name in try FileManager.default.contentsOfDirectory(atPath: lab.net.file(host, ""))
          where !kept.contains(name) && (host > 4 || ["node.conf", "peers"].contains(name)) {
            try FileManager.default.removeItem(atPath: lab.net.file(host, name))
          }
          try lab.on(
            host, Requirement.binary, "join", invite.stdout.trimmingCharacters(in: .whitespacesAndNewlines), "--config",
            lab.net.file(host, "node.conf"), "--data-directory", lab.net.file(host, ""), "--name", "joined\(host)")
          try lab.configure(host) { $0 = NetHosts.without(lanDiscovery: $0) }
        }
        let started = ContinuousClock.now
        try startAll(lab, lab.numbers.filter { $0 != entrance })
        try lab.identify()
        try lab.together()
        measured("twelve hosts, eleven of them by an invite, all known to all after", text(started.secondsAgo))
        try lab.chainGoesOn(at: [1], everywhere: lab.numbers)
      }
    }

    @Test("twelve hosts find each other by LAN beacons alone") func beacons() throws {
      let lab = try #require(NetLab.shared)
      try lab.reporting { lab in
        try stopAll(lab)
        for host in lab.numbers {
          try lab.configure(host) { $0 = NetHosts.withLANDiscovery(NetHosts.bootstrap($0)) }
        }
        let started = ContinuousClock.now
        try startAll(lab, lab.numbers)
        try lab.identify()
        try lab.together()
        measured("twelve hosts, by beacons alone, all known to all after", text(started.secondsAgo))
        try lab.chainGoesOn(at: [1], everywhere: lab.numbers)
      }
    }

    @Test("hosts find each other by the address book after the bootstrap is gone for good") func addressBook() throws {
      let lab = try #require(NetLab.shared)
      try lab.reporting { lab in
        let entrance = NetDiscovery.entrance
        // Six others beside the entrance are more than half of all the others: there is a way from each to each, whomever they
        // have met. A node meets one with each probe that is answered.
        for host in lab.numbers {
          try eventually(within: NetLab.patience, every: 250, "\(host) has met seven others") {
            (try lab.network(host)?.addressBook?.tried ?? 0) >= 7
          }
        }
        try stopAll(lab, keepingBooks: true)
        for host in lab.numbers {
          // Whom they are told of is never there again.
          try lab.configure(host) {
            $0 = NetHosts.without(lanDiscovery: NetHosts.bootstrap($0, "\(lab.hosts[entrance - 1].addresses[0]):7447"))
          }
        }
        // Its data, its address and its host go with it.
        try FileManager.default.removeItem(atPath: lab.net.file(entrance, ""))
        try lab.removeHost(entrance)
        let others = lab.numbers.filter { $0 != entrance }
        for host in others {
          let book = try FileManager.default.attributesOfItem(atPath: lab.net.file(host, "peers"))
          #expect((book[.size] as? Int) ?? 0 > 0, "\(host) has a book")
        }
        let started = ContinuousClock.now
        try startAll(lab, others)
        try lab.identify(others)
        try lab.together(others)
        measured("eleven hosts, by their address books alone, all known to all after", text(started.secondsAgo))
        try lab.chainGoesOn(at: [1], everywhere: others)
      }
    }
  }
}
