/// `linnet netcheck`, for people.
package enum NetworkText {
  /// The verdict, and what it rests on.
  package static func render(_ network: NetworkAnswer, style: TextStyle) -> String {
    var text = verdict(network.verdict, style: style)
    var fields = TextFields()
    fields.add("profile", network.profile)
    fields.add("listens on", list(network.listening.map { "\($0.address)/\($0.transport)" }))
    fields.add("record names", list(network.recordAddresses))
    fields.add("reached through", network.via.isEmpty ? nil : list(network.via.map(PeerText.short)))
    fields.add("behind a NAT", network.isBehindNAT ? "yes" : "no")
    for seen in network.observed {
      fields.add("seen at", "\(seen.address) by \(list(seen.reporters.map(PeerText.short)))")
    }
    for dialBack in network.dialBacks {
      fields.add("dial back", PeerText.short(dialBack.peer) + ": " + outcome(of: dialBack))
    }
    let members = network.members
    fields.add(
      "members", "\(members.alive) alive, \(members.suspect) suspect, \(members.down) down, \(members.left) left")
    fields.add("links", "\(network.links.inbound) inbound, \(network.links.outbound) outbound")
    fields.add("over UDP", "\(network.answeringByDatagram) of \(members.alive) have answered")
    fields.add("clock", network.clockOffsetMicroseconds.map { NetworkVerdict.distance($0) + " most others'" })
    fields.add("local health", network.localHealth == 0 ? "well" : "\(network.localHealth) points slow")
    fields.add("longest datagram", "\(network.longestDatagramBytes) B")
    fields.add("address book", network.addressBook.map { "\($0.tried) tried, \($0.new) new" })
    for ban in network.bans {
      fields.add("not let in", "\(ban.peer) until \(PeerText.clock(ban.until)), at last for \(ban.reason)")
    }
    text += "\n" + fields.rendered(style: style)
    return text + tables(network, style: style)
  }

  private static func verdict(_ lines: [VerdictAnswer], style: TextStyle) -> String {
    lines.map { line in
      let (word, coloured) =
        switch line.severity {
        case .good: ("ok", style.good)
        case .caution: ("look", style.caution)
        case .bad: ("WRONG", style.bad)
        }
      return coloured(word) + String(repeating: " ", count: 7 - word.count) + TextTable.printable(line.text) + "\n"
    }.joined()
  }

  private static func tables(_ network: NetworkAnswer, style: TextStyle) -> String {
    var text = ""
    if !network.interfaces.isEmpty {
      var table = TextTable("INTERFACE", "STATE", "ADDRESSES", "BEACONS IPV4", "BEACONS IPV6")
      for interface in network.interfaces {
        table.add([
          interface.name, interface.isUp ? "up" : "down", list(interface.addresses), interface.beaconIPv4 ?? "-",
          interface.beaconIPv6 ?? "-",
        ])
      }
      text += "\n" + table.rendered(style: style)
    }
    if !network.bootstrap.isEmpty {
      var table = TextTable("BOOTSTRAP", "ADDRESSES", "LINKED", "LATEST FAILURE")
      for entry in network.bootstrap {
        let failure = entry.failure.map { $0 + (entry.failedAt.map { " at \(PeerText.clock($0))" } ?? "") }
        table.add([entry.entry, list(entry.addresses), entry.isLinked ? "yes" : "no", failure ?? "-"])
      }
      text += "\n" + table.rendered(style: style)
    }
    if !network.names.isEmpty {
      var table = TextTable(("DNS NAME", .left), ("NODES", .right), ("LATEST FAILURE", .left))
      for name in network.names {
        table.add([name.name, name.nodes.map(String.init) ?? "-", name.failure ?? "-"])
      }
      text += "\n" + table.rendered(style: style)
    }
    let counters = network.counters.filter { $0.value > 0 }.sorted { $0.key < $1.key }
    if !counters.isEmpty {
      var table = TextTable(("COUNTER", .left), ("COUNT", .right))
      for (name, count) in counters { table.add([name, "\(count)"]) }
      text += "\n" + table.rendered(style: style)
    }
    return text
  }

  private static func outcome(of dialBack: DialBackReport) -> String {
    switch dialBack.isReached {
    case true?: "reached"
    case false?: "not reached" + (dialBack.reason.map { ", \($0)" } ?? "")
    case nil: dialBack.reason ?? "no answer"
    }
  }

  private static func list(_ items: [String]) -> String { items.isEmpty ? "-" : items.joined(separator: ", ") }
}
