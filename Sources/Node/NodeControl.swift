import Config
import Control
import Core
import Executor
import Foundation
import Ledger
import Membership
import Primitives
import Transport
import Wire

/// Answers the control API from the running node.
struct NodeControl: ControlService {
  let node: RunningNode
  let configurationInForce: NodeConfiguration
  let version: String

  init(node: RunningNode, configuration: NodeConfiguration, version: String) {
    self.node = node
    configurationInForce = configuration
    self.version = version
  }

  func status() async throws -> StatusAnswer {
    let core = await node.driver.read { core, _ in
      let state = core.finalState
      return (
        record: core.membership.ownRecord.value.body, height: core.ledger.finalHeight,
        root: core.ledger.finalStateRoot, view: core.consensus.view,
        alive: core.membership.members.count { $0.state == .alive && $0.id != core.id },
        leases: state.leases(of: core.id).count { $0.state == .active || $0.state == .committed },
        balance: state.account(core.id).balanceMicrocredits, epoch: state.epoch,
        set: state.validatorSet(epoch: state.epoch), jailed: state.validator(core.id)?.isJailed ?? false
      )
    }
    var roles: [String] = []
    if case .nodeRecord(let record) = core.record { roles = record.roles.names }
    var warnings: [String] = []
    if let set = core.set, set.faults == 0 { warnings.append("a committee of \(set.count) tolerates no fault") }
    let voting = await voting()
    if voting.state == .abstaining { warnings.append("this node does not vote: \(voting.reason ?? "unknown")") }
    if core.jailed {
      warnings.append(
        "this validator is jailed: it signed two votes that contradict each other; does its key run twice?")
    }
    var refused: [String: UInt64] = [:]
    for (name, count) in await node.refused().all where !Self.ordinary.contains(name) { refused[name] = count }
    return StatusAnswer(
      id: "\(node.id)", name: configurationInForce.node.name, version: version, network: node.genesis.name,
      networkId: "\(node.genesis.networkID)", roles: roles, height: core.height, stateRoot: "\(core.root)",
      epoch: core.epoch, view: core.view, voting: voting, peersAlive: core.alive, offersRunning: core.leases,
      uptimeSeconds: UInt64(max(0, (MonotonicClock.now() - node.startedAt).count / 1_000_000)),
      balanceMicrocredits: core.balance, isolation: "\(node.supervisor.isolation)", warnings: warnings,
      refused: refused)
  }

  func peers() async throws -> [PeerAnswer] {
    let links = node.shell.endpoint.value?.links ?? []
    return await node.driver.read { core, now in
      core.membership.members.filter { $0.id != core.id }.map {
        NodeControl.answer($0, core: core, now: now, links: links)
      }
    }
  }

  func peer(id: String) async throws -> PeerDetailAnswer {
    let found = try await resolveMember(id)
    let links = (node.shell.endpoint.value?.links ?? []).filter { $0.id == found }
    let slashes = node.shell.slashes.slashes(of: found)
    let detail = await node.driver.read { core, now -> PeerDetailAnswer? in
      guard let member = core.membership.member(found) else { return nil }
      return PeerDetailAnswer(
        peer: NodeControl.answer(member, core: core, now: now, links: links),
        incarnation: member.incarnation, addresses: member.record.addresses.map { "\($0)" },
        suspicions: member.accusations.map { SuspicionAnswer(accuser: "\($0.accuser)", at: Self.wall($0.since, core)) },
        links: links.map {
          LinkAnswer(
            direction: $0.direction.rawValue, address: "\($0.address)",
            since: WallTime(microsecondsSinceEpoch: Int64(clamping: $0.sinceUnixMicroseconds)),
            receivedBytes: $0.bytesIn, sentBytes: $0.bytesOut)
        }, validator: NodeControl.validator(found, state: core.finalState, core: core), slashes: slashes)
    }
    guard let detail else { throw ControlError.unknown("peer", id) }
    return detail
  }

  /// Counts of what is no refusal.
  private static let ordinary: Set<String> = [
    "broadcast.delivered", "broadcast.duplicate", "broadcast.published", "consensus.certificateOfFinalView",
    "consensus.olderEpoch", "consensus.relayed",
    "consensus.voteOfFinalView", "membership.addressLearned", "membership.becameAlive", "membership.indirectAck",
    "membership.pingSent", "membership.refuted", "udp.datagram.received", "udp.datagram.sent",
  ]

  private func resolveMember(_ text: String) async throws -> NodeID {
    let ids = await node.driver.read { core, _ in core.membership.members.map(\.id).filter { $0 != core.id } }
    let found = try Abbreviation.resolve(text, among: ids.map(\.description), kind: "peer")
    guard let id = NodeID(text: found) else { throw ControlError.unknown("peer", text) }
    return id
  }

  private static func wall(_ instant: Instant, _ core: NodeCore) -> WallTime {
    WallTime(microsecondsSinceEpoch: Int64(clamping: core.identity.wallClock.unixMicroseconds(at: instant)))
  }

  private static func answer(
    _ member: MemberView, core: NodeCore, now: Instant, links: [LinkInfo]
  ) -> PeerAnswer {
    let link = links.first { $0.id == member.id }
    let score = core.broadcast.peers.first { $0.id == member.id }?.score ?? 0
    return PeerAnswer(
      id: "\(member.id)", name: member.name, address: member.address.map { "\($0)" } ?? "unknown",
      state: peerState(member.state),
      path: link.map { "tcp \($0.direction.rawValue)" } ?? "udp",
      // The link is measured as soon as it stands, a member with its first probe.
      rttMicroseconds: member.rtt.map { UInt64(max(0, $0.count)) } ?? link?.roundTripMicroseconds,
      roles: member.roles.names, height: member.height,
      gpus: core.finalState.offer(of: member.id)?.gpus.count ?? 0, score: Int(score),
      lastSeen: member.lastSeen.map { wall($0, core) },
      jailed: core.finalState.validator(member.id)?.isJailed ?? false)
  }

  func hardware() async throws -> RawJSON {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    return RawJSON(bytes: Array(try encoder.encode(node.hardware)))
  }

  func configuration() async throws -> [ConfigurationEntryAnswer] {
    configurationInForce.entries.map {
      ConfigurationEntryAnswer(key: $0.key, value: $0.value, source: "\($0.source)")
    }
  }
}
