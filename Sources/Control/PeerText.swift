/// `linnet peers` and `linnet peer`, for people.
package enum PeerText {
  /// The beginning of an id, long enough to tell ids apart and to be typed.
  package static func short(_ id: String) -> String { String(id.prefix(14)) }

  /// A time to the second.
  package static func clock(_ time: WallTime) -> String { time.description.prefix(19) + "Z" }

  /// What membership believes, and whether it is put out as a validator.
  package static func state(of peer: PeerAnswer) -> String {
    peer.state.rawValue + (peer.isUnseen ? ", unseen" : "") + (peer.jailed ? ", jailed" : "")
  }

  /// The table of `linnet peers`.
  package static func render(_ peers: [PeerAnswer], style: TextStyle) -> String {
    guard !peers.isEmpty else { return "no peers known yet\n" }
    var table = TextTable([
      ("ID", .left), ("NAME", .left), ("ADDRESS", .left), ("STATE", .left), ("PATH", .left), ("RTT", .right),
      ("CLOCK", .right), ("ROLES", .left), ("HEIGHT", .right), ("GPUS", .right), ("SCORE", .right), ("AGE", .right),
      ("LAST SEEN", .left),
    ])
    for peer in peers {
      table.add([
        short(peer.id), peer.name, peer.address, state(of: peer), path(of: peer),
        peer.rttMicroseconds.map { Quantity.roundTrip(microseconds: $0) } ?? "-",
        peer.clockOffsetMicroseconds.map { Quantity.offset(microseconds: $0) } ?? "-",
        peer.roles.joined(separator: ","), peer.height.map(String.init) ?? "-", "\(peer.gpus)", "\(peer.score)",
        peer.ageSeconds.map { Quantity.duration(seconds: $0) } ?? "-", peer.lastSeen.map(clock) ?? "never",
      ])
    }
    return table.rendered(style: style)
  }

  private static func path(of peer: PeerAnswer) -> String {
    guard let path = peer.path else { return "-" }
    guard path.hasPrefix("via ") else { return path + standing(of: peer) }
    return "via " + short(String(path.dropFirst(4)))
  }

  /// Where it stands with what is spread.
  private static func standing(of peer: PeerAnswer) -> String {
    peer.isMuted ? ", muted" : peer.isMesh ? ", mesh" : ""
  }

  /// What `linnet peer` shows.
  package static func render(_ detail: PeerDetailAnswer, style: TextStyle) -> String {
    let peer = detail.peer
    var fields = TextFields()
    fields.add("id", peer.id)
    fields.add("name", peer.name)
    fields.add("address", peer.address)
    fields.add("record names", detail.addresses.isEmpty ? nil : detail.addresses.joined(separator: ", "))
    fields.add("reached through", peer.via.isEmpty ? nil : peer.via.joined(separator: ", "))
    fields.add("state", state(of: peer) + (peer.since.map { " since \(clock($0))" } ?? ""))
    fields.add("incarnation", "\(detail.incarnation)")
    fields.add("record expires", detail.recordExpires.map(clock))
    fields.add("capabilities", detail.capabilities)
    fields.add("agent", peer.agent.isEmpty ? nil : peer.agent)
    fields.add("path", peer.path.map { $0 + standing(of: peer) })
    fields.add("rtt", peer.rttMicroseconds.map { Quantity.roundTrip(microseconds: $0) })
    fields.add("clock", peer.clockOffsetMicroseconds.map { Quantity.offset(microseconds: $0) })
    fields.add("roles", peer.roles.joined(separator: ", "))
    fields.add("height", peer.height.map(String.init))
    fields.add("gpus", "\(peer.gpus)")
    fields.add("score", "\(peer.score)")
    fields.add("brought first", detail.conduct.map { "\($0.firsts) messages" })
    fields.add("not let in", detail.conduct?.bannedUntil.map { "until \(clock($0))" })
    fields.add("known for", peer.ageSeconds.map { Quantity.duration(seconds: $0) })
    fields.add("last seen", peer.lastSeen.map(clock))
    for seen in detail.seenAddresses { fields.add("seen at", text(seen)) }
    for seen in detail.reportedAddresses { fields.add("sees this node at", text(seen)) }
    fields.add("validator", detail.validator.map(ValidatorText.render))
    return fields.rendered(style: style) + accusations(detail, style: style) + conduct(detail, style: style)
      + slashes(detail, style: style) + links(detail, style: style)
  }

  private static func text(_ seen: ReportedAddressAnswer) -> String {
    seen.address + (seen.at.map { ", last at \(clock($0))" } ?? "")
  }

  private static func accusations(_ detail: PeerDetailAnswer, style: TextStyle) -> String {
    var text = ""
    if !detail.suspicions.isEmpty {
      var table = TextTable(("ACCUSED BY", .left), ("INCARNATION", .right), ("AT", .left))
      for suspicion in detail.suspicions {
        table.add([
          suspicion.accuser, suspicion.incarnation.map(String.init) ?? "-", suspicion.at.map(clock) ?? "-",
        ])
      }
      text += "\n" + table.rendered(style: style)
    }
    if !detail.refutations.isEmpty {
      var table = TextTable(("REFUTED AT", .left), ("INCARNATION", .right), ("ACCUSERS", .left))
      for refutation in detail.refutations {
        let accusers = refutation.accusers.map(short).joined(separator: ", ")
        table.add([clock(refutation.at), "\(refutation.incarnation)", accusers])
      }
      text += "\n" + table.rendered(style: style)
    }
    return text
  }

  private static func conduct(_ detail: PeerDetailAnswer, style: TextStyle) -> String {
    guard let conduct = detail.conduct else { return "" }
    var text = ""
    if !conduct.costs.isEmpty {
      var table = TextTable(("CHARGED FOR", .left), ("COUNT", .right), ("POINTS", .right))
      for cost in conduct.costs { table.add([cost.reason, "\(cost.count)", "\(cost.points)"]) }
      text += "\n" + table.rendered(style: style)
    }
    if !conduct.closings.isEmpty {
      var table = TextTable("CLOSED AT", "AT LAST FOR", "NOT LET IN FOR")
      for closing in conduct.closings {
        table.add([
          clock(closing.at), closing.reason,
          closing.banSeconds == 0 ? "gossip not heard" : Quantity.duration(seconds: UInt64(closing.banSeconds)),
        ])
      }
      text += "\n" + table.rendered(style: style)
    }
    return text
  }

  private static func slashes(_ detail: PeerDetailAnswer, style: TextStyle) -> String {
    guard !detail.slashes.isEmpty else { return "" }
    var table = TextTable([
      ("SLASHED FOR", .left), ("EPOCH", .right), ("VIEW", .right), ("IN BLOCK", .right), ("REPORTED BY", .left),
      ("BURNT", .right), ("AT", .left),
    ])
    for slash in detail.slashes {
      table.add([
        slash.kind, "\(slash.epoch)", "\(slash.view)", "\(slash.inBlock)", slash.reporter,
        slash.burntMicrocredits.map(Quantity.credits) ?? "-", slash.at.map(clock) ?? "-",
      ])
    }
    return "\n" + table.rendered(style: style)
  }

  private static func links(_ detail: PeerDetailAnswer, style: TextStyle) -> String {
    guard !detail.links.isEmpty else { return "" }
    var table = TextTable([
      ("LINK", .left), ("ADDRESS", .left), ("SINCE", .left), ("RTT", .right), ("RECEIVED", .right), ("SENT", .right),
      ("WAITING", .right), ("REKEYS", .right),
    ])
    for link in detail.links {
      table.add([
        link.direction, link.address, link.since.map(clock) ?? "-",
        link.rttMicroseconds.map { Quantity.roundTrip(microseconds: $0) } ?? "-", Quantity.size(link.receivedBytes),
        Quantity.size(link.sentBytes), link.waitingBytes.map(Quantity.size) ?? "-",
        link.rekeys.map(String.init) ?? "-",
      ])
    }
    let streams = detail.links.flatMap(\.streams)
    guard !streams.isEmpty else { return "\n" + table.rendered(style: style) }
    var inner = TextTable([
      ("STREAM", .right), ("CHANNEL", .left), ("RECEIVED", .right), ("SENT", .right), ("QUEUED", .right),
      ("MAY SEND", .right), ("UNCONSUMED", .right),
    ])
    for stream in streams {
      inner.add([
        "\(stream.id)", stream.channel, Quantity.size(stream.receivedBytes), Quantity.size(stream.sentBytes),
        Quantity.size(stream.queuedBytes), Quantity.size(stream.sendWindowBytes),
        Quantity.size(stream.unconsumedBytes),
      ])
    }
    return "\n" + table.rendered(style: style) + "\n" + inner.rendered(style: style)
  }
}
