import Primitives
import Wire

/// One object for each message, whoever passes it on: what a hundred thousand tables hold is then a reference, and a
/// message is decoded once and not once at each node.
///
/// What was not asked for in one generation is forgotten in the next; records that all nodes hold are then made anew
/// when one of them is told again, which costs memory and changes nothing.
struct InternedMessages {
  /// The messages after which a new generation begins.
  static let generationLength = 400_000

  private struct Key: Hashable {
    let author: NodeID
    let sequence: UInt64

    // Sequences are microseconds and so keep most messages apart; nothing depends on the order of a hash table here.
    func hash(into hasher: inout Hasher) {
      hasher.combine(author.value.prefix)
      hasher.combine(sequence)
    }
  }

  private let verifier: Verifier
  private var current: [Key: Verified<Message>] = [:]
  private var previous: [Key: Verified<Message>] = [:]
  /// What did not verify.
  private(set) var refused = 0

  init(networkID: Digest) {
    verifier = Verifier(networkID: networkID) { StandInSignatures.check($0, $1, $2) }
  }

  /// Notes a message that its author has just sealed.
  mutating func add(_ message: Verified<Message>) { insert(message, for: key(message.value.envelope)) }

  /// The message of an envelope; nil when it does not verify.
  mutating func message(_ envelope: Envelope) -> Verified<Message>? {
    let key = key(envelope)
    if let known = current[key] { return known }
    if let known = previous[key] {
      insert(known, for: key)
      return known
    }
    guard let message = try? verifier.verify(envelope) else {
      refused += 1
      return nil
    }
    insert(message, for: key)
    return message
  }

  private func key(_ envelope: Envelope) -> Key { Key(author: envelope.author, sequence: envelope.sequence) }

  private mutating func insert(_ message: Verified<Message>, for key: Key) {
    if current.count >= InternedMessages.generationLength {
      previous = current
      current = [:]
    }
    current[key] = message
  }
}
