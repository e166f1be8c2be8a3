import Consensus
import Membership
import Primitives
import Wire

/// What a scenario adds to a run.
protocol Script: AnyObject {
  /// Called once, before anything happens: asks for calls of `act` at times.
  func begin(_ simulation: Simulation)
  /// Called when a time that was asked for has come.
  func act(_ number: Int, _ simulation: Simulation)
  /// True when a message is to be lost.
  func drops(_ message: ConsensusMessage, from: Int, to: Int, at now: Instant) -> Bool
  /// How long a sync takes at a node; nil for what is drawn.
  func syncTime(of node: Int) -> Microseconds?
  /// Called when a node takes a member to be in another state.
  func changed(_ member: NodeID, to state: MemberState, at node: Int, _ simulation: Simulation)
  /// Called when a node hears another no more for its misconduct.
  func heardNoMore(_ peer: NodeID, by node: Int)
  /// What did not happen that should have; nil when all is well.
  func verdict(_ simulation: Simulation) -> String?
}

extension Script {
  func begin(_ simulation: Simulation) {}
  func act(_ number: Int, _ simulation: Simulation) {}
  func drops(_ message: ConsensusMessage, from: Int, to: Int, at now: Instant) -> Bool { false }
  func syncTime(of node: Int) -> Microseconds? { nil }
  func changed(_ member: NodeID, to state: MemberState, at node: Int, _ simulation: Simulation) {}
  func heardNoMore(_ peer: NodeID, by node: Int) {}
}

/// A case that consensus.md or network.md warns of, set up on purpose.
package struct Scenario: Sendable {
  /// What it is called by.
  package let name: String
  /// What happens, in a line.
  package let summary: String
  let make: @Sendable (inout Setup) -> any Script

  /// All of them.
  package static let all: [Scenario] = [
    Scenario(
      name: "split-votes", summary: "the votes on an epoch's last block split between finalize and nullify"
    ) { setup in
      quiet(&setup)
      setup.parameters.epochBlocks = 4
      return SplitVotes()
    },
    Scenario(
      name: "vote-before-sync", summary: "a node's own vote completes a quorum long before its disk has it"
    ) { setup in
      quiet(&setup)
      return SlowDisk()
    },
    Scenario(name: "idle-views", summary: "nobody wants anything") { setup in
      quiet(&setup)
      setup.hasWorkload = false
      return Idle(hasBadTransaction: false)
    },
    Scenario(name: "unincludable", summary: "transactions that no block can include") { setup in
      quiet(&setup)
      setup.hasWorkload = false
      return Idle(hasBadTransaction: true)
    },
    Scenario(name: "twins", summary: "two instances with one key, on two sides of a split") { setup in
      quiet(&setup)
      setup.habits = [1: [.twin, .votesTwice]]
      setup.plan.faults = [
        Fault(number: 1, kind: .partition(side: [0, 1]), at: .zero + .seconds(3), length: .seconds(4)),
        Fault(number: 2, kind: .partition(side: [1, 2]), at: .zero + .seconds(9), length: .seconds(4)),
        Fault(number: 3, kind: .partition(side: [1, 3]), at: .zero + .seconds(14), length: .seconds(4)),
      ]
      return Progress()
    },
    Scenario(name: "amnesia", summary: "an honest node loses its journal, and votes again only later") { setup in
      quiet(&setup)
      setup.forgetful = 2
      setup.plan.faults = [
        Fault(number: 1, kind: .journalLoss(node: 2), at: .zero + .seconds(5), length: .milliseconds(300))
      ]
      return Amnesia()
    },
    Scenario(name: "joiner", summary: "a newcomer fetches the state of an epoch and comes to the tip") { setup in
      quiet(&setup)
      setup.snapshotDistance = 8
      setup.newcomers = [.zero + .seconds(12)]
      return Joiner()
    },
    Scenario(name: "standstill", summary: "everything that is sent for six seconds is lost") { setup in
      quiet(&setup)
      return Standstill()
    },
    Scenario(name: "slow-network", summary: "every message takes several times what the timers begin with") { setup in
      quiet(&setup)
      setup.parameters.deltaMilliseconds = 50
      setup.delay = .milliseconds(150)
      setup.delaySpread = .milliseconds(100)
      return Progress()
    },
    Scenario(name: "fast-clock", summary: "a validator's clock jumps five minutes ahead") { setup in
      quiet(&setup)
      setup.plan.faults = [
        Fault(number: 1, kind: .clockJump(node: 1, by: .seconds(300)), at: .zero + .seconds(4), length: .zero)
      ]
      return Progress()
    },
    Scenario(name: "lying-server", summary: "a newcomer is offered states that nobody has") { setup in
      quiet(&setup)
      setup.snapshotDistance = 8
      setup.habits = [3: .lies]
      setup.newcomers = [.zero + .seconds(12)]
      return Joiner()
    },
    Scenario(
      name: "one-way-leader", summary: "a validator hears everything and nobody hears it, leader or not"
    ) { setup in
      quiet(&setup)
      // Waiting for a leader costs two seconds; an epoch is long enough to learn not to.
      setup.parameters.deltaMilliseconds = 1_000
      setup.parameters.epochBlocks = 400
      setup.plan.faults = [Fault(number: 1, kind: .mute(node: 0), at: .zero + .seconds(4), length: .seconds(10))]
      return OneWay()
    },
    Scenario(name: "equivocator", summary: "a validator contradicts itself and is slashed for it") { setup in
      quiet(&setup)
      setup.habits = [3: [.equivocates, .votesTwice]]
      return Slashed(node: 3)
    },
    Scenario(name: "ring", summary: "five validators in a ring: no votes make a quorum but by relays") { setup in
      quiet(&setup)
      setup.validators = 5
      setup.parameters.epochBlocks = 400
      setup.plan.neverLinked = [[0, 2], [0, 3], [1, 3], [1, 4], [2, 4]]
      return Ring()
    },
    Scenario(
      name: "lost-witness", summary: "whose vote made a notarization is never heard again, and all lose their power"
    ) { setup in
      quiet(&setup)
      setup.parameters.epochBlocks = 400
      setup.habits = [LostWitness.witness: .withholds]
      setup.plan.faults = [
        Fault(number: 1, kind: .blackout, at: LostWitness.blackoutAt, length: .zero)
      ]
      return LostWitness()
    },
    Scenario(
      name: "damaged-chain", summary: "blocks are damaged whose votes the journal no longer holds"
    ) { setup in
      quiet(&setup)
      // All blocks are kept, for the node loses its states.
      setup.snapshotDistance = 2_048
      return DamagedChain()
    },
    Scenario(
      name: "past-the-bound", summary: "first nothing is notarized, then nothing final, for longer than may be held"
    ) { setup in
      quiet(&setup)
      setup.parameters.epochBlocks = 400
      setup.bounds.openBlocks = PastTheBound.openBlocks
      setup.bounds.commitBlocks = PastTheBound.commitBlocks
      return PastTheBound()
    },
    Scenario(name: "misplaced-blocks", summary: "a leader proposes blocks of views that never come") { setup in
      quiet(&setup)
      setup.parameters.epochBlocks = 400
      setup.habits = [3: .misplaces]
      setup.bounds.openBlocks = 6
      return Progress()
    },
    Scenario(
      name: "split", summary: "six of twelve are cut off from the others for longer than every timeout"
    ) { setup in
      cut(&setup, validators: 12, for: .seconds(130))
      return CutOff(&setup, kind: .partition(side: Array(0..<6)), apart: Array(0..<6))
    },
    Scenario(name: "deaf", summary: "a validator is heard by all and hears nobody") { setup in
      cut(&setup, validators: 7, for: .seconds(40))
      return CutOff(&setup, kind: .oneWay(from: Array(0..<6)), apart: [6])
    },
    Scenario(name: "one-way", summary: "nothing gets from two of seven to the others, though they hear these") {
      setup in
      cut(&setup, validators: 7, for: .seconds(40))
      return CutOff(&setup, kind: .oneWay(from: [5, 6]), apart: [5, 6])
    },
    Scenario(name: "liar", summary: "three of ten accuse everyone of not answering, again and again") { setup in
      quiet(&setup)
      setup.validators = 10
      setup.habits = [7: .accuses, 8: .accuses, 9: .accuses]
      setup.duration = .seconds(20)
      setup.faultsEnd = .zero + .seconds(15)
      return Accusers()
    },
    Scenario(name: "readdress", summary: "the addresses of two hosts change while they run") { setup in
      cut(&setup, validators: 4, for: Moves.time * 2)
      return Moves()
    },
    Scenario(name: "two-liars", summary: "two of four contradict themselves: the checker must find it") { setup in
      quiet(&setup)
      setup.habits = [1: .conspiracy, 2: .conspiracy]
      return Progress()
    },
  ]

  /// The scenario of a name.
  package static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }

  /// Validators that are bootstrapped once and then rely on each other, and a time in which some are cut off.
  private static func cut(_ setup: inout Setup, validators: Int, for span: Microseconds) {
    quiet(&setup)
    setup.validators = validators
    setup.bootstrapEnd = .zero + .seconds(5)
    setup.faultsEnd = CutOff.start + span
    setup.duration = CutOff.start - .zero + span + CutOff.healTime + .seconds(1)
  }

  /// Four validators on a good network, short epochs, short times.
  private static func quiet(_ setup: inout Setup) {
    setup.validators = 4
    setup.newcomers = []
    setup.habits = [:]
    setup.forgetful = nil
    setup.leavers = []
    setup.plan = FaultPlan()
    setup.bounds = ConsensusBounds()
    setup.hasChanges = false
    setup.parameters = ChainParameters()
    setup.parameters.epochBlocks = 8
    setup.parameters.deltaCapMilliseconds = 2_000
    setup.parameters.blockIntervalIdleMilliseconds = 1_000
    setup.parameters.standstillMilliseconds = 3_000
    setup.parameters.revealWindowMilliseconds = 4_000
    setup.parameters.commitGraceMilliseconds = 5_000
  }
}
