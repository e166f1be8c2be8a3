import Consensus
import Core
import Membership
import Primitives
import Wire

// The scripts of the scenarios: what they do to the messages, and what must have come about in the end.

/// The chain goes on.
class Progress: Script {
  func begin(_ simulation: Simulation) {}
  func act(_ number: Int, _ simulation: Simulation) {}
  func drops(_ message: ConsensusMessage, from: Int, to: Int, at now: Instant) -> Bool { false }
  func syncTime(of node: Int) -> Microseconds? { nil }
  func changed(_ member: NodeID, to state: MemberState, at node: Int, _ simulation: Simulation) {}
  func heardNoMore(_ peer: NodeID, by node: Int) {}

  func verdict(_ simulation: Simulation) -> String? {
    simulation.checker.finalizedHeight > 10 ? nil : "only \(simulation.checker.finalizedHeight) blocks are final"
  }
}

/// Two of four don't hear of the notarization of an epoch's last block in time and nullify its view; the others vote to
/// finalize it. Neither is a quorum: only proposing the block again ends the epoch.
final class SplitVotes: Script {
  private var lastBlocks: [Digest: (view: UInt64, seenAt: Instant)] = [:]
  private var isFinalAgain = false

  func drops(_ message: ConsensusMessage, from: Int, to: Int, at now: Instant) -> Bool {
    switch message {
    case .proposal(let block, let vote):
      if block.header.height % 4 == 0, lastBlocks[block.id] == nil {
        lastBlocks[block.id] = (vote.subject.view, now)
      }
    case .vote(let vote):
      guard vote.subject.kind == .notarize, let first = lastBlocks[vote.subject.blockID] else { return false }
      return vote.subject.view == first.view && to >= 2 && now - first.seenAt < .seconds(1)
    case .certificate(let certificate):
      guard let first = lastBlocks[certificate.subject.blockID] else { return false }
      if certificate.subject.kind == .finalize {
        isFinalAgain = isFinalAgain || certificate.subject.view > first.view
      } else if certificate.subject.kind == .notarize, certificate.subject.view == first.view {
        return to >= 2 && now - first.seenAt < .seconds(1)
      }
    default: break
    }
    return false
  }

  func verdict(_ simulation: Simulation) -> String? {
    if !isFinalAgain { return "no last block of an epoch became final by being proposed again" }
    let epoch = simulation.checker.epoch(of: simulation.checker.finalizedHeight)
    return epoch >= 3 ? nil : "the chain is in epoch \(epoch) only"
  }
}

/// One disk takes a third of a second for a sync: whatever the quorum is made of, that node's vote counts only then.
final class SlowDisk: Progress {
  override func syncTime(of node: Int) -> Microseconds? { node == 0 ? .milliseconds(350) : nil }
}

/// Nobody wants anything, or only what can't be: blocks come at the idle pace, and no view is given up.
final class Idle: Script {
  private let hasBadTransaction: Bool
  private var nullifiedBefore = 0
  private var heightBefore: UInt64 = 0

  init(hasBadTransaction: Bool) { self.hasBadTransaction = hasBadTransaction }

  func begin(_ simulation: Simulation) {
    // Offers, beacons and findings come first.
    simulation.queue.add(.scripted(0), at: .zero + .seconds(10))
    guard hasBadTransaction else { return }
    for number in 1...8 { simulation.queue.add(.scripted(number), at: .zero + .seconds(10 + Int64(number))) }
  }

  func act(_ number: Int, _ simulation: Simulation) {
    if number == 0 {
      nullifiedBefore = simulation.checker.nullified.count
      heightBefore = simulation.checker.finalizedHeight
      return
    }
    let sender = simulation.nodes[3]
    guard let state = simulation.checker.finalState else { return }
    let transaction = Transaction(
      nonce: state.account(sender.id).nonce + 2 + UInt64(number),
      feeMicrocredits: simulation.genesis.parameters.minimumFeeMicrocredits,
      expiresMilliseconds: state.ledgerTimeMilliseconds + 600_000,
      action: .transfer(to: simulation.nodes[0].id, amountMicrocredits: 1))
    let envelope = sender.signer.seal(.transaction(transaction), sequence: (1 << 60) + UInt64(number)).value.envelope
    let carried = Carried(.gossip(.publish([envelope])))
    for target in 0..<3 { simulation.put(carried, from: 3, to: target) }
  }

  func verdict(_ simulation: Simulation) -> String? {
    let nullified = simulation.checker.nullified.count - nullifiedBefore
    let height = simulation.checker.finalizedHeight - heightBefore
    if nullified > 0 { return "\(nullified) views were given up although nobody waited for anything" }
    if height < 10 { return "only \(height) blocks became final in twenty idle seconds" }
    return height < 40 ? nil : "\(height) blocks became final although there was nothing to put into them"
  }
}

/// A node that lost its journal abstains, and votes again in a later epoch.
final class Amnesia: Script {
  private var hasAbstained = false

  func begin(_ simulation: Simulation) {
    // An epoch may begin just then, and with it the votes.
    for number in 0..<30 {
      simulation.queue.add(.scripted(number), at: .zero + .milliseconds(5_300 + Int64(number) * 10))
    }
  }

  func act(_ number: Int, _ simulation: Simulation) {
    if case .abstaining = simulation.nodes[2].running?.core.votingStanding { hasAbstained = true }
  }

  func verdict(_ simulation: Simulation) -> String? {
    if !hasAbstained { return "the node votes although its journal is lost" }
    return simulation.nodes[2].running?.core.votingStanding == .voting ? nil : "the node does not vote again"
  }
}

/// A newcomer goes on from a state that it fetched.
final class Joiner: Script {
  func verdict(_ simulation: Simulation) -> String? {
    let disk = simulation.nodes[4].disk
    if disk.base == 0 { return "the newcomer fetched every block, and no state" }
    return disk.height > disk.base ? nil : "the newcomer has no block above the state"
  }
}

/// Nothing that is said for a while arrives, though links stand: rule 8 says it again.
final class Standstill: Progress {
  override func drops(_ message: ConsensusMessage, from: Int, to: Int, at now: Instant) -> Bool {
    now >= .zero + .seconds(4) && now < .zero + .seconds(10)
  }
}

/// Nobody hears a quorum over its own links; by relays all do, and each validator's blocks become final.
final class Ring: Progress {
  override func verdict(_ simulation: Simulation) -> String? {
    let leaders = Set(simulation.checker.leaders)
    let idle = simulation.nodes.filter { !leaders.contains($0.id) }.map { "n\($0.number + 1)" }
    return idle.isEmpty ? super.verdict(simulation) : "no block of \(idle) became final"
  }
}

/// The others go on without a leader that nobody hears, and after eight views no longer wait for it.
final class OneWay: Progress {
  private var before: UInt64 = 0
  private var after: UInt64 = 0

  override func begin(_ simulation: Simulation) {
    simulation.queue.add(.scripted(0), at: .zero + .seconds(9))
    simulation.queue.add(.scripted(1), at: .zero + .seconds(14))
  }

  override func act(_ number: Int, _ simulation: Simulation) {
    if number == 0 { before = simulation.checker.finalizedHeight } else { after = simulation.checker.finalizedHeight }
  }

  override func verdict(_ simulation: Simulation) -> String? {
    after >= before + 12
      ? nil : "only \(after - before) blocks became final in five seconds in which one of four was not heard"
  }
}

/// Evidence is put on the chain, and whom it names leaves the committee.
final class Slashed: Script {
  private let node: Int

  init(node: Int) { self.node = node }

  func verdict(_ simulation: Simulation) -> String? {
    guard simulation.checker.slashed.contains(node) else { return "nobody was slashed" }
    guard let last = simulation.checker.finalState else { return "there is no state" }
    let isMember = last.validatorSet(epoch: last.epoch + 1)?.index(of: simulation.nodes[node].id) != nil
    return isMember ? "who was slashed is still a validator" : nil
  }
}
