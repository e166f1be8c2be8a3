import Config
import Control
import Core
import LinkProtocol
import Membership
import Primitives
import Transport
import Wire

// Pings, events, and how this node stands in the network.

extension NodeControl {
  /// How many peers are asked to dial this node.
  private static let dialBacks = 3
  /// The counters that say something about the network begin with these.
  private static let counterPrefixes = ["beacon.", "link.", "membership.", "udp."]

  func ping(id: String, _ request: PeerPingRequest) async throws -> PullStream<PingAnswer> {
    let pinger = PeerPinger(node: node, target: try await resolveMember(id), request: request)
    return PullStream { try await pinger.next() }
  }

  func events(_ request: EventRequest) async throws -> PullStream<EventAnswer> {
    try node.shell.network.feed.events(request)
  }

  func network(dialBack: Bool) async throws -> NetworkAnswer {
    let endpoint = node.shell.endpoint.value
    // It takes seconds, and the rest shall be of one moment: the latest.
    let dialBacks = dialBack ? await askToDial(endpoint) : []
    let links = endpoint?.links ?? []
    let udp = node.shell.datagrams.value?.listening ?? []
    let tcp = endpoint?.listening ?? []
    var network = await node.driver.read { core, now in NodeControl.membership(core, now) }
    network.profile = configurationInForce.network.profile.rawValue
    network.listening =
      udp.map { ListeningAnswer(transport: "udp", address: "\($0)") }
      + tcp.map { ListeningAnswer(transport: "tcp", address: "\($0)") }
    let beacons = node.discovery.value?.lan?.endpoint.interfaces
    network.interfaces = NetworkInterface.all().map { interface in
      let beacon = beacons?.first { $0.name == interface.name }
      return InterfaceAnswer(
        name: interface.name, addresses: interface.networks.map(NodeControl.text), isUp: interface.isUp,
        beaconIPv4: beacon.map { NodeControl.text($0.ipv4) }, beaconIPv6: beacon.map { NodeControl.text($0.ipv6) })
    }
    network.links = LinkCountsAnswer(
      inbound: links.count { $0.direction == .inbound }, outbound: links.count { $0.direction == .outbound })
    network.longestDatagramBytes = DatagramFormat.maximumByteCount
    network.eventsMissed = node.shell.network.feed.missed
    network.bootstrap = await bootstrap(links)
    network.addressBook = node.shell.book.value.map { AddressBookAnswer(tried: $0.counts.tried, new: $0.counts.new) }
    network.names = names()
    network.dialBacks = dialBacks
    for (name, count) in await node.refused().all where Self.counterPrefixes.contains(where: name.hasPrefix) {
      network.counters[name] = count
    }
    network.verdict = NetworkVerdict.judge(network)
    return network
  }

  /// What membership knows.
  private static func membership(_ core: NodeCore, _ now: Instant) -> NetworkAnswer {
    let membership = core.membership
    var network = NetworkAnswer(profile: "")
    if case .nodeRecord(let record) = membership.ownRecord.value.body {
      network.recordAddresses = record.addresses.map { "\($0)" }
      network.recordExpires = wall(unixSeconds: record.expiresUnixSeconds)
      network.via = record.via.map { "\($0)" }
    }
    network.isBehindNAT = membership.isBehindNAT
    var reporters: [PeerAddress: [NodeID]] = [:]
    for (reporter, address) in membership.observations { reporters[address, default: []].append(reporter) }
    network.observed = reporters.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }.map { address, ids in
      ReportedAddressAnswer(address: "\(address)", reporters: ids.sorted().map { "\($0)" })
    }
    network.members = MemberCountsAnswer(
      alive: membership.count(of: .alive), suspect: membership.count(of: .suspect),
      down: membership.count(of: .down), left: membership.count(of: .left))
    let members = membership.members.filter { $0.id != core.id }
    let alive = members.filter { $0.state == .alive }
    network.answeringByDatagram = alive.count { $0.rtt != nil }
    let offsets = alive.compactMap { $0.clockOffset?.count }.sorted()
    network.clockOffsetMicroseconds = offsets.isEmpty ? nil : offsets[offsets.count / 2]
    network.bans = core.broadcast.bans(now: now).map {
      BanAnswer(peer: "\($0.peer)", until: wall($0.until, core), reason: "\($0.misconduct)")
    }
    network.localHealth = Int(membership.healthScore)
    return network
  }

  /// The names of the configuration, with what came of asking for each the last time.
  private func names() -> [DirectoryNameAnswer] {
    let outcomes = node.discovery.value?.lists?.outcomes ?? []
    return configurationInForce.network.dns.map { name in
      let outcome = outcomes.first { $0.name == name }
      return DirectoryNameAnswer(name: name, nodes: outcome?.nodes, failure: outcome?.problem)
    }
  }

  private func bootstrap(_ links: [LinkInfo]) async -> [BootstrapAnswer] {
    var answers: [BootstrapAnswer] = []
    let seen = await node.discovery.value?.seenMembers() ?? []
    for entry in configurationInForce.network.bootstrap {
      let addresses = await Dialer.resolve(host: entry.address.host, port: entry.address.port)
      let expected = entry.identity.flatMap { NodeID(text: $0) }
      var answer = BootstrapAnswer(entry: "\(entry)", addresses: addresses.map { "\($0)" })
      answer.isLinked = BootstrapLink.stands(to: addresses, expecting: expected, links: links, members: seen)
      let failures = addresses.compactMap { node.shell.network.failure(at: $0) }
      if expected == node.id {
        answer.failure = "it is this node"
      } else if addresses.isEmpty {
        answer.failure = "the name has no address now"
      } else if !answer.isLinked, let latest = failures.max(by: { $0.at < $1.at }) {
        answer.failure = latest.reason
        answer.failedAt = latest.at
      }
      answers.append(answer)
    }
    return answers
  }

  /// Asks a few linked peers, chosen at random, to dial this node where its link with them comes from.
  private func askToDial(_ endpoint: LinkEndpoint?) async -> [DialBackReport] {
    guard let endpoint, let port = endpoint.listening.first?.port, port != 0 else { return [] }
    let peers = endpoint.links.map(\.id)
    let hub = node.hub
    let question = DialBackRequest(port: port).encoded
    return await withTaskGroup(of: DialBackReport.self) { group in
      for peer in peers.shuffled().prefix(NodeControl.dialBacks) {
        group.addTask {
          do {
            let body = try await hub.ask(
              .dialBack, question, of: peer, timeoutSeconds: DialBackService.askerWaitsSeconds)
            return try DialBackReport(body, from: peer)
          } catch {
            return DialBackReport(peer: "\(peer)", reason: "\(error)")
          }
        }
      }
      var answers: [DialBackReport] = []
      for await answer in group { answers.append(answer) }
      return answers.sorted { $0.peer < $1.peer }
    }
  }

  private static func text(_ state: BeaconInterface.State) -> String {
    switch state {
    case .joined: "joined"
    case .unused: "unused"
    case .failed(let reason): reason
    }
  }

  private static func text(_ network: NetworkInterface.Network) -> String {
    "\(network.address.ipText)/\(network.prefixBitCount)"
  }
}

extension DialBackReport {
  /// What a peer said.
  fileprivate init(_ body: [UInt8], from peer: NodeID) throws {
    let said = try DialBackAnswer(decoding: body)
    let isUnsaid = DialBackService.Unsaid(rawValue: said.reason) != nil
    self.init(
      peer: "\(peer)", isReached: isUnsaid ? nil : said.isReached, reason: said.reason.isEmpty ? nil : said.reason)
  }
}
