import Broadcast
import Control
import Core
import Ledger
import Membership
import Primitives
import Transport
import Wire

// The peers, as this node sees them.

extension NodeControl {
  func peers() async throws -> [PeerAnswer] {
    let links = linksByPeer()
    return await node.driver.read { core, now in
      let broadcast = NodeControl.broadcastPeers(core)
      return core.membership.members.filter { $0.id != core.id }.map {
        NodeControl.answer($0, core: core, now: now, link: links[$0.id], broadcast: broadcast[$0.id])
      }
    }
  }

  func peer(id: String) async throws -> PeerDetailAnswer {
    let found = try await resolveMember(id)
    let link = linksByPeer()[found]
    let slashes = node.shell.slashes.slashes(of: found)
    let detail = await node.driver.read { core, now -> PeerDetailAnswer? in
      guard let member = core.membership.member(found) else { return nil }
      let reports = member.reportedAddresses.sorted { $0.at < $1.at }
      return PeerDetailAnswer(
        peer: NodeControl.answer(
          member, core: core, now: now, link: link, broadcast: NodeControl.broadcastPeers(core)[found]),
        incarnation: member.incarnation, addresses: member.record.addresses.map { "\($0)" },
        recordExpires: NodeControl.wall(unixSeconds: member.record.expiresUnixSeconds),
        capabilities: "\(member.record.capabilities)",
        suspicions: member.accusations.map {
          SuspicionAnswer(
            accuser: "\($0.accuser)", incarnation: $0.incarnation, at: NodeControl.wall($0.since, core))
        },
        refutations: member.refutations.map { refutation in
          RefutationAnswer(
            at: NodeControl.wall(refutation.at, core), incarnation: refutation.incarnation,
            accusers: refutation.accusers.map { "\($0)" })
        },
        seenAddresses: reports.filter { $0.reporter == nil }.map { NodeControl.answer($0, core) },
        reportedAddresses: reports.filter { $0.reporter != nil }.map { NodeControl.answer($0, core) },
        conduct: core.conduct(of: found).map { NodeControl.answer($0, core: core, now: now) },
        links: link.map { [NodeControl.answer($0)] } ?? [],
        validator: NodeControl.validator(found, state: core.finalState, core: core), slashes: slashes)
    }
    guard let detail else { throw ControlError.unknown("peer", id) }
    return detail
  }

  /// The one member whose id begins with the text.
  func resolveMember(_ text: String) async throws -> NodeID {
    let ids = await node.driver.read { core, _ in core.membership.members.map(\.id).filter { $0 != core.id } }
    let found = try Abbreviation.resolve(text, among: ids.map(\.description), kind: "peer")
    guard let id = NodeID(text: found) else { throw ControlError.unknown("peer", text) }
    return id
  }

  private func linksByPeer() -> [NodeID: LinkInfo] {
    Dictionary((node.shell.endpoint.value?.links ?? []).map { ($0.id, $0) }) { first, _ in first }
  }

  /// The linked nodes as the broadcast knows them.
  private static func broadcastPeers(_ core: NodeCore) -> [NodeID: BroadcastPeer] {
    Dictionary(core.broadcast.peers.map { ($0.id, $0) }) { first, _ in first }
  }

  static func wall(_ instant: Instant, _ core: NodeCore) -> WallTime {
    WallTime(microsecondsSinceEpoch: Int64(clamping: core.identity.wallClock.unixMicroseconds(at: instant)))
  }

  static func wall(unixSeconds: UInt64) -> WallTime {
    let (microseconds, isTooLong) = unixSeconds.multipliedReportingOverflow(by: 1_000_000)
    return WallTime(microsecondsSinceEpoch: isTooLong ? .max : Int64(clamping: microseconds))
  }

  private static func answer(
    _ member: MemberView, core: NodeCore, now: Instant, link: LinkInfo?, broadcast: BroadcastPeer?
  ) -> PeerAnswer {
    let via = member.via
    let path =
      link.map { "tcp \($0.direction.rawValue)" } ?? (member.isLive ? via.first.map { "via \($0)" } ?? "udp" : nil)
    return PeerAnswer(
      id: "\(member.id)", name: member.name, address: member.address.map { "\($0)" } ?? "unknown",
      state: NetworkLog.peerState(member.state), since: wall(member.since, core), path: path,
      // The link is measured as soon as it stands, a member with its first probe.
      rttMicroseconds: member.rtt.map { UInt64(max(0, $0.count)) } ?? link?.roundTripMicroseconds,
      roles: member.roles.names, height: member.height,
      gpus: core.finalState.offer(of: member.id)?.gpus.count ?? 0,
      score: Int(core.conduct(of: member.id)?.score ?? 0),
      lastSeen: member.lastSeen.map { wall($0, core) },
      ageSeconds: UInt64(max(0, (now - member.firstSeen).count) / 1_000_000),
      clockOffsetMicroseconds: member.clockOffset?.count, via: via.map { "\($0)" }, isUnseen: member.isUnseen,
      isMesh: broadcast?.isInMesh ?? false, isMuted: broadcast?.isMuted ?? false, agent: member.agent,
      jailed: core.finalState.validator(member.id)?.isJailed ?? false)
  }

  private static func answer(_ link: LinkInfo) -> LinkAnswer {
    LinkAnswer(
      direction: link.direction.rawValue, address: "\(link.address)",
      since: WallTime(microsecondsSinceEpoch: Int64(clamping: link.sinceUnixMicroseconds)),
      receivedBytes: link.bytesIn, sentBytes: link.bytesOut, rttMicroseconds: link.roundTripMicroseconds,
      rekeys: link.rekeys, waitingBytes: UInt64(clamping: link.waitingBytes),
      streams: link.streams.map { stream in
        StreamAnswer(
          id: stream.id, channel: "\(stream.channel)", sentBytes: stream.sentBytes,
          receivedBytes: stream.receivedBytes, queuedBytes: UInt64(clamping: stream.queuedBytes),
          sendWindowBytes: UInt64(clamping: stream.sendWindowBytes),
          unconsumedBytes: UInt64(clamping: stream.unconsumedBytes))
      })
  }

  private static func answer(_ seen: ReportedAddress, _ core: NodeCore) -> ReportedAddressAnswer {
    ReportedAddressAnswer(
      address: "\(seen.address)", reporters: ["\(seen.reporter ?? core.id)"], at: wall(seen.at, core))
  }

  private static func answer(_ conduct: Conduct, core: NodeCore, now: Instant) -> ConductAnswer {
    ConductAnswer(
      score: conduct.score, firsts: conduct.firsts,
      costs: conduct.costs.map { .init(reason: "\($0.misconduct)", count: $0.count, points: $0.points) },
      closings: conduct.closings.map {
        .init(at: wall($0.at, core), reason: "\($0.misconduct)", banSeconds: $0.banSeconds)
      },
      bannedUntil: conduct.bannedUntil.flatMap { $0 > now ? wall($0, core) : nil })
  }
}
