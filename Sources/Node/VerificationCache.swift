import Primitives
import Sodium
import Synchronization
import Wire

/// Remembers signatures that fit, so that a transaction is verified once and not again when it comes back in a
/// block, a proposal or a repair. Only successes are kept: a failure costs its sender the full price each time.
final class VerificationCache: Sendable {
  /// The most signatures remembered.
  static let capacity = 131_072

  private let known = Mutex(BoundedMap<Digest, Void>(capacity: capacity))

  /// True when the signature is the signer's over the bytes.
  func check(_ signature: Signature, _ message: [UInt8], _ signer: NodeID) -> Bool {
    var hasher = DigestHasher()
    hasher.update(signature.bytes)
    hasher.update(signer.bytes)
    hasher.update(message)
    let key = hasher.finish()
    if known.withLock({ $0.contains(key) }) { return true }
    guard Sodium.verify(signature, of: message, by: signer) else { return false }
    known.withLock { _ = $0.insert((), forKey: key) }
    return true
  }
}
