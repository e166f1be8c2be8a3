/// What the state of a node's network comes to, in words: what an operator would conclude, and what to do next.
package enum NetworkVerdict {
  /// A node whose clock is this far from the others' is noticed.
  private static let notableOffsetMicroseconds: UInt64 = 100_000
  /// A block that is this far in the future is not voted for (`ChainParameters.maximumClockLeadMilliseconds`).
  private static let harmfulOffsetMicroseconds: UInt64 = 500_000
  /// Of two members one is half; fewer are no network that could be split.
  private static let leastMembersOfSplit = 2
  /// A node that has just begun has had no answers yet: that says nothing before so many pings.
  private static let leastPings = 3

  /// The lines, the worst first.
  package static func judge(_ network: NetworkAnswer) -> [VerdictAnswer] {
    let lines =
      members(network) + addresses(network) + dialBacks(network) + datagrams(network) + clock(network)
      + beacons(network) + health(network)
    // Sorting is stable within a severity by the order above.
    return VerdictAnswer.Severity.allCases.sorted().flatMap { severity in lines.filter { $0.severity == severity } }
  }

  private static func members(_ network: NetworkAnswer) -> [VerdictAnswer] {
    let members = network.members
    let known = members.alive + members.suspect + members.down
    let links = network.links.inbound + network.links.outbound
    var lines: [VerdictAnswer] = []
    if known == 0, links == 0 {
      let failures = network.bootstrap.filter { $0.failure != nil }
      let advice =
        network.bootstrap.isEmpty
        ? "name one in [network] bootstrap of node.conf, or join by an invite"
        : failures.isEmpty
          ? "wait, or see whether the nodes of [network] bootstrap run"
          : "of [network] bootstrap, "
            + failures.map { "\($0.entry): \($0.failure ?? "")" }.joined(separator: "; ")
      lines.append(VerdictAnswer("alone", .bad, "no other node is known: \(advice)"))
    } else if known > 0, members.alive == 0 {
      lines.append(
        VerdictAnswer(
          "nobodyAnswers", .bad,
          "none of \(known) known members answers: is this host connected, and its firewall open?"))
    } else if members.down >= leastMembersOfSplit, 2 * members.down >= known {
      lines.append(
        VerdictAnswer(
          "split", .bad,
          "\(members.down) of \(known) members are down: the network is split, or they have stopped; "
            + "`linnet events --kind split,member` says when"))
    } else {
      // A link may stand before its node's record has come.
      let answering = known == 0 ? "no member is known yet" : "\(members.alive) of \(known) members answer"
      lines.append(VerdictAnswer("members", .good, "\(answering), over \(links) link\(links == 1 ? "" : "s")"))
    }
    return lines
  }

  private static func addresses(_ network: NetworkAnswer) -> [VerdictAnswer] {
    if network.isBehindNAT {
      let through =
        network.via.isEmpty
        ? "and no member to reach it through is linked" : "it is reached through \(network.via.count) of its links"
      return [
        VerdictAnswer(
          "nat", network.via.isEmpty ? .bad : .caution,
          "nobody can dial this node, which is behind a NAT: \(through). Forward a port to it and name that in "
            + "[network] advertise, if it shall be dialled")
      ]
    }
    guard let most = network.observed.max(by: { $0.reporters.count < $1.reporters.count }) else { return [] }
    if let same = network.observed.first(where: { network.recordAddresses.contains($0.address) }) {
      return [
        VerdictAnswer("address", .good, "others see this node at \(same.address), as its record says")
      ]
    }
    return [
      VerdictAnswer(
        "addressDiffers", .caution,
        "others see this node at \(most.address), but its record says "
          + "\(network.recordAddresses.isEmpty ? "nothing" : network.recordAddresses.joined(separator: ", ")): "
          + "if others cannot dial it, set [network] advertise")
    ]
  }

  private static func dialBacks(_ network: NetworkAnswer) -> [VerdictAnswer] {
    let answers = network.dialBacks.filter { $0.isReached != nil }
    guard !answers.isEmpty else {
      guard !network.dialBacks.isEmpty else { return [] }
      let reason = network.dialBacks.compactMap(\.reason).first ?? "no answer"
      return [VerdictAnswer("dialBackUnknown", .caution, "no peer said whether it can dial this node: \(reason)")]
    }
    let reached = answers.filter { $0.isReached == true }
    if !reached.isEmpty {
      let count = "\(reached.count) of \(answers.count)"
      return [VerdictAnswer("dialled", .good, "\(count) peers that were asked have dialled this node")]
    }
    let ports = network.listening.map { "\($0.address)/\($0.transport)" }.joined(separator: ", ")
    let why = answers.compactMap(\.reason).first.map { " (\($0))" } ?? ""
    return [
      VerdictAnswer(
        "notDialled", network.isBehindNAT && !network.via.isEmpty ? .caution : .bad,
        "none of \(answers.count) peers that were asked could dial this node\(why): open \(ports) in the firewall")
    ]
  }

  private static func datagrams(_ network: NetworkAnswer) -> [VerdictAnswer] {
    guard network.members.alive > 0, network.answeringByDatagram == 0,
      network.counters["membership.pingSent", default: 0] >= leastPings
    else { return [] }
    let ports = network.listening.filter { $0.transport == "udp" }.map { "\($0.address)/udp" }
    return [
      VerdictAnswer(
        "noDatagrams", .bad,
        "no member has answered a ping over UDP, though \(network.members.alive) are alive: open "
          + "\(ports.joined(separator: ", ")), and let datagrams of \(network.longestDatagramBytes) bytes pass")
    ]
  }

  private static func clock(_ network: NetworkAnswer) -> [VerdictAnswer] {
    guard let offset = network.clockOffsetMicroseconds else { return [] }
    guard offset.magnitude >= notableOffsetMicroseconds else {
      return [VerdictAnswer("clock", .good, "this host's clock agrees with the others'")]
    }
    return [
      VerdictAnswer(
        "clockDiffers", offset.magnitude >= harmfulOffsetMicroseconds ? .bad : .caution,
        "this host's clock is \(distance(offset)) most others': see whether it is synchronised (timedatectl)")
    ]
  }

  /// How far this host's clock is from others that are ahead of it by an offset.
  static func distance(_ offset: Int64) -> String {
    Quantity.span(microseconds: offset.magnitude) + (offset > 0 ? " behind" : " ahead of")
  }

  private static func beacons(_ network: NetworkAnswer) -> [VerdictAnswer] {
    let states = network.interfaces.flatMap { [$0.beaconIPv4, $0.beaconIPv6] }.compactMap { $0 }
    guard !states.isEmpty, !states.contains("joined") else { return [] }
    let why = states.first { $0 != "unused" } ?? "no interface has an address that can"
    return [
      VerdictAnswer("noBeacons", .caution, "nodes of the local network are not found by beacons: \(why)")
    ]
  }

  private static func health(_ network: NetworkAnswer) -> [VerdictAnswer] {
    var lines: [VerdictAnswer] = []
    if network.localHealth > 0 {
      lines.append(
        VerdictAnswer(
          "slow", .caution,
          "this node answers or hears late (local health \(network.localHealth)): is its CPU busy, or its network lossy?"
        ))
    }
    if !network.bans.isEmpty {
      lines.append(
        VerdictAnswer(
          "bans", .caution,
          "\(network.bans.count) nodes are not let in for their misconduct: `linnet peer <id>` says more of members"))
    }
    return lines
  }
}
