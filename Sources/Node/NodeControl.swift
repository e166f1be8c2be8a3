import Config
import Control
import Core
import Executor
import Foundation
import Ledger
import Primitives
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
    if let failure = node.sandboxFailure { warnings.append(failure) }
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
      epoch: core.epoch, view: core.view, voting: voting, peersAlive: core.alive, leasesRunning: core.leases,
      uptimeSeconds: UInt64(max(0, (MonotonicClock.now() - node.startedAt).count / 1_000_000)),
      balanceMicrocredits: core.balance, isolation: "\(node.supervisor.isolation)", warnings: warnings,
      refused: refused)
  }

  /// Counts of what is no refusal.
  private static let ordinary: Set<String> = [
    "broadcast.congested", "broadcast.delivered", "broadcast.duplicate", "broadcast.graftSent", "broadcast.graftTaken",
    "broadcast.pruned", "broadcast.pruneSent", "broadcast.published", "broadcast.pushCongested",
    "broadcast.pushUnwanted", "broadcast.renewed", "consensus.certificateOfFinalView",
    "consensus.olderEpoch", "consensus.relayed", "consensus.voteOfFinalView",
    // Both ends dial at once.
    "link.dial.alreadyLinked",
    "membership.addressLearned", "membership.becameAlive", "membership.becameDown", "membership.becameLeft",
    "membership.becameSuspect", "membership.digestDiffers", "membership.digestEqual", "membership.indirectAck",
    "membership.linkSpokeForMember", "membership.pingAsked", "membership.pingSent", "membership.refuted",
    "membership.toldMore", "udp.datagram.received", "udp.datagram.sent",
    // One's own beacons come back and are told by their receiver.
    "udp.beacon.bound", "udp.beacon.received", "udp.beacon.sent", "udp.beacon.wrongReceiver",
  ]

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
