import Primitives
import Wire

/// What a Byzantine node does besides, or instead of, what the rules say.
struct Habits: OptionSet, Sendable {
  let rawValue: Int

  /// As a leader it makes two blocks and shows each to a part of the others.
  static let equivocates = Habits(rawValue: 1 << 0)
  /// It votes for every block that it hears of, and for the end of every view as well.
  static let votesTwice = Habits(rawValue: 1 << 1)
  /// It votes but never proposes.
  static let withholds = Habits(rawValue: 1 << 2)
  /// It shows its blocks to exactly a quorum.
  static let showsToQuorum = Habits(rawValue: 1 << 3)
  /// It shows certificates to one node only.
  static let hoards = Habits(rawValue: 1 << 4)
  /// It votes in views long past, far ahead, and of other epochs.
  static let wanders = Habits(rawValue: 1 << 5)
  /// It loses its journal and votes on.
  static let forgets = Habits(rawValue: 1 << 6)
  /// A second instance of it runs with the same key.
  static let twin = Habits(rawValue: 1 << 7)
  /// It proposes blocks that no ledger accepts, and sends garbage.
  static let garbles = Habits(rawValue: 1 << 8)
  /// It answers requests with other things than those asked for, and sends what nobody asked for.
  static let lies = Habits(rawValue: 1 << 9)
  /// It is silent to some of the others.
  static let snubs = Habits(rawValue: 1 << 10)
  /// The blocks that it proposes are of other views than its votes for them, mostly of views that never come.
  static let misplaces = Habits(rawValue: 1 << 11)
  /// It accuses every other member, again and again, of not answering.
  static let accuses = Habits(rawValue: 1 << 12)

  static let names = [
    "equivocates", "votes twice", "withholds its blocks", "shows its blocks to a quorum", "hoards certificates",
    "votes in other views", "forgets its journal", "is a twin", "garbles", "lies", "snubs some",
    "proposes blocks of other views", "accuses everyone",
  ]

  /// What more of them than are tolerated do together to break the chain.
  static let conspiracy: Habits = [.equivocates, .votesTwice]

  /// How many of them `drawn` chooses from; what came later is drawn apart, so that seeds keep what they drew.
  private static let drawnFirst = 11

  /// One to three habits.
  static func drawn(_ generator: inout SeededGenerator) -> Habits {
    var habits = Habits()
    for _ in 0...generator.index(below: 3) {
      habits.insert(Habits(rawValue: 1 << generator.index(below: drawnFirst)))
    }
    return habits
  }

  /// The habits in words.
  var text: String {
    Habits.names.enumerated().filter { rawValue >> $0.offset & 1 == 1 }.map(\.element).joined(separator: ", ")
  }
}

/// What a Byzantine node remembers. It wraps a real core, whose messages it changes, and it signs with its own keys
/// only: no other signer is ever given to it.
struct Actor {
  /// The most blocks remembered.
  static let maximumBlocks = 32

  let habits: Habits
  private let signers: [Signer]
  var random: SeededGenerator
  /// The second block of a view that it led, with its vote, by the first one's id; nil when none could be made.
  var forks: [Digest: (Block, Vote)?] = [:]
  /// Blocks and certificates that it has seen, to be shown where they do not belong.
  private(set) var blocks: [Block] = []
  private(set) var certificates: [Certificate] = []
  /// The subjects that it voted for besides its core.
  private var voted: Set<VoteSubject> = []

  init(habits: Habits, signers: [Signer], random: SeededGenerator) {
    self.habits = habits
    self.signers = signers
    self.random = random
  }

  func has(_ habit: Habits) -> Bool { habits.contains(habit) }

  /// A vote of its own in the committee of an epoch; nil when it is not in it.
  func vote(_ subject: VoteSubject, in set: ValidatorSet) -> Vote? {
    guard let node = signers.first?.id, let index = set.index(of: node), let key = set.key(index),
      let signer = signers.first(where: { $0.id == key })
    else { return nil }
    return signer.vote(subject, as: index).value
  }

  /// The same, once for each subject.
  mutating func firstVote(_ subject: VoteSubject, in set: ValidatorSet) -> Vote? {
    guard voted.count < 65_536, voted.insert(subject).inserted else { return nil }
    return vote(subject, in: set)
  }

  /// A message of its own.
  func sealed(_ body: MessageBody, sequence: UInt64) -> Envelope? {
    signers.first?.seal(body, sequence: sequence).value.envelope
  }

  mutating func remember(_ block: Block) {
    if blocks.count >= Actor.maximumBlocks { blocks.remove(at: random.index(below: blocks.count)) }
    blocks.append(block)
  }

  mutating func remember(_ certificate: Certificate) {
    if certificates.count >= Actor.maximumBlocks { certificates.remove(at: random.index(below: certificates.count)) }
    certificates.append(certificate)
  }
}
