import Primitives
import Sodium
import Synchronization
import Wire

/// Remembers what was verified, so that it is verified once and not again when it comes back: a transaction in a block,
/// a proposal or a repair; a record, an accusation or a farewell as a rumour of most members; a vote in the certificate that every validator forwards. Only successes are kept: a failure
/// costs its sender the full price each time.
final class VerificationCache: Sendable {
  /// The most messages remembered, by their ids; the latest half of them for certain.
  static let messageCapacity = 131_072
  /// The most signatures remembered; the latest half of them for certain.
  static let signatureCapacity = 32_768
  /// Votes sign short statements. What is longer is an envelope, and those that come again are known by their ids.
  static let longestStatement = 256

  /// Two generations: when the younger is full the elder is forgotten, which costs nothing for each entry.
  struct Memory {
    private let generationCapacity: Int
    private var younger: Set<Digest>
    private var elder: Set<Digest>

    /// Both generations have their room from the beginning: none grows while others wait for it.
    init(capacity: Int) {
      generationCapacity = max(1, capacity / 2)
      younger = Set(minimumCapacity: generationCapacity)
      elder = Set(minimumCapacity: generationCapacity)
    }

    func contains(_ key: Digest) -> Bool { younger.contains(key) || elder.contains(key) }

    mutating func insert(_ key: Digest) {
      if younger.count >= generationCapacity {
        swap(&younger, &elder)
        younger.removeAll(keepingCapacity: true)
      }
      younger.insert(key)
    }
  }

  private let messages = Mutex(Memory(capacity: messageCapacity))
  private let signatures = Mutex(Memory(capacity: signatureCapacity))

  /// The messages that were verified.
  var known: VerifiedMessages {
    VerifiedMessages(
      contains: { [self] id in messages.withLock { $0.contains(id) } },
      insert: { [self] id in messages.withLock { $0.insert(id) } })
  }

  /// True when the signature is the signer's over the bytes.
  func check(_ signature: Signature, _ message: [UInt8], _ signer: NodeID) -> Bool {
    guard message.count <= VerificationCache.longestStatement else {
      return Sodium.verify(signature, of: message, by: signer)
    }
    var hasher = DigestHasher()
    hasher.update(signature.bytes)
    hasher.update(signer.bytes)
    hasher.update(message)
    let key = hasher.finish()
    if signatures.withLock({ $0.contains(key) }) { return true }
    guard Sodium.verify(signature, of: message, by: signer) else { return false }
    signatures.withLock { $0.insert(key) }
    return true
  }
}
