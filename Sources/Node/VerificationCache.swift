import Primitives
import Sodium
import Synchronization
import Wire

/// Remembers what was verified, so that it is verified once and not again when it comes back: a transaction in a block,
/// a proposal or a repair; a vote in the certificate that every validator forwards. Only successes are kept: a failure
/// costs its sender the full price each time.
final class VerificationCache: Sendable {
  /// The most transactions remembered, by their ids.
  static let transactionCapacity = 131_072
  /// The most signatures remembered.
  static let signatureCapacity = 32_768
  /// Votes sign short statements. What is longer is an envelope, and those that come again are known by their ids.
  static let longestStatement = 256

  private let transactions = Mutex(BoundedMap<Digest, Void>(capacity: transactionCapacity))
  private let signatures = Mutex(BoundedMap<Digest, Void>(capacity: signatureCapacity))

  /// The transactions that were verified.
  var known: VerifiedMessages {
    VerifiedMessages(
      contains: { [self] id in transactions.withLock { $0.contains(id) } },
      insert: { [self] id in transactions.withLock { _ = $0.insert((), forKey: id) } })
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
    signatures.withLock { _ = $0.insert((), forKey: key) }
    return true
  }
}
