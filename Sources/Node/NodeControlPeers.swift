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
      let mesh = NodeControl.mesh(core)
      return core.membership.members.filter { $0.id != core.id }.map {
        NodeControl.answer($0, core: core, now: now, link: links[$0.id], mesh: mesh[$0.id])
      }
    }
  }

  func peer(id: String) async throws -> PeerDetailAnswer {
    let found = try await resolveMember(id)
    let link = linksByPeer()[found]
    let slashes = node.shell.slashes.slashes(of: found)
    let detail = await node.driver.read { core, now -> PeerDetailAnswer? in
      guard let member = core.membership.member(found) else { return nil }
      return PeerDetailAnswer(
        peer: NodeControl.answer(member, core: core, now: now, link: link, mesh: NodeControl.mesh(core)[found]),
        incarnation: member.incarnation, addresses: member.record.addresses.map { "\($0)" },
        recordExpires: NodeControl.wall(unixSeconds: member.record.expiresUnixSeconds),
        capabilities: "\(member.record.capabilities)",
        suspicions: member.accusers.map {
          SuspicionAnswer(accuser: "\($0.id)", incarnation: member.incarnation, at: NodeControl.wall($0.since, core))
        },
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

  private static func mesh(_ core: NodeCore) -> [NodeID: BroadcastPeer] {
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
    _ member: MemberView, core: NodeCore, now: Instant, link: LinkInfo?, mesh: BroadcastPeer?
  ) -> PeerAnswer {
    let via = member.record.via
    let path = link.map { "tcp \($0.direction.rawValue)" } ?? via.first.map { "via \($0)" } ?? "udp"
    return PeerAnswer(
      id: "\(member.id)", name: member.name, address: member.address.map { "\($0)" } ?? "unknown",
      state: NetworkLog.peerState(member.state), since: wall(member.since, core), path: path,
      // The link is measured as soon as it stands, a member with its first probe.
      rttMicroseconds: member.rtt.map { UInt64(max(0, $0.count)) } ?? link?.roundTripMicroseconds,
      roles: member.roles.names, height: member.height,
      gpus: core.finalState.offer(of: member.id)?.gpus.count ?? 0, score: Int(mesh?.score ?? 0),
      lastSeen: member.lastSeen.map { wall($0, core) }, via: via.map { "\($0)" }, isMesh: mesh?.isEager ?? false,
      agent: member.agent, jailed: core.finalState.validator(member.id)?.isJailed ?? false)
  }

  private static func answer(_ link: LinkInfo) -> LinkAnswer {
    LinkAnswer(
      direction: link.direction.rawValue, address: "\(link.address)",
      since: WallTime(microsecondsSinceEpoch: Int64(clamping: link.sinceUnixMicroseconds)),
      receivedBytes: link.bytesIn, sentBytes: link.bytesOut, rttMicroseconds: link.roundTripMicroseconds)
  }
}
