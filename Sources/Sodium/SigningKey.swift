import CSodium
import Primitives

/// A node's Ed25519 secret key (RFC 8032). Sendable because its secret is written once and then read-only.
package final class SigningKey: Sendable {
  /// Bytes in the seed from which the key pair is derived.
  package static let seedByteCount = 32

  /// The public key: the node's identity.
  package let id: NodeID

  // libsodium's form: the seed, then the public key.
  private let secret: SecretMemory

  private init(fill: (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt8>) -> Void) throws(SodiumError) {
    var publicKey = [UInt8](repeating: 0, count: Int(crypto_sign_PUBLICKEYBYTES))
    secret = try SecretMemory(count: Int(crypto_sign_SECRETKEYBYTES)) { memory throws(SodiumError) in
      publicKey.withUnsafeMutableBufferPointer { output in
        if let output = output.baseAddress { fill(output, memory) }
      }
    }
    guard let id = NodeID(bytes: publicKey) else {
      throw SodiumError(.invalidLength, "A public key of \(publicKey.count) bytes is not an identity.")
    }
    self.id = id
  }

  /// A new random key.
  ///
  /// - Throws: `SodiumError` with code `outOfMemory`.
  package static func generate() throws(SodiumError) -> SigningKey {
    try SigningKey { publicKey, secret in _ = crypto_sign_keypair(publicKey, secret) }
  }

  /// The key of a 32-byte seed.
  ///
  /// - Throws: `SodiumError` with code `invalidLength` or `outOfMemory`.
  package convenience init(seed: [UInt8]) throws(SodiumError) {
    guard seed.count == SigningKey.seedByteCount else {
      throw SodiumError(.invalidLength, "A key's seed has 32 bytes, not \(seed.count).")
    }
    try self.init { publicKey, secret in _ = crypto_sign_seed_keypair(publicKey, secret, seed) }
  }

  /// Signs a message. Deterministic: the same message has the same signature.
  package func sign(_ message: [UInt8]) -> Signature {
    var bytes = [UInt8](repeating: 0, count: Int(crypto_sign_BYTES))
    secret.withBytes { key in
      _ = crypto_sign_detached(&bytes, nil, message, UInt64(message.count), key)
    }
    return Signature(bytes: bytes) ?? .zero
  }

  /// Reads the 32-byte seed, to write it into a key file or an invite.
  package func withSeed<Answer>(_ body: (UnsafeBufferPointer<UInt8>) -> Answer) -> Answer {
    secret.withBytes { body(UnsafeBufferPointer(start: $0, count: SigningKey.seedByteCount)) }
  }
}

/// True when `signature` is the signature of `message` by `signer`.
///
/// libsodium refuses keys and points of small order and scalars that are not reduced, so a signature has one form.
package func verify(_ signature: Signature, of message: [UInt8], by signer: NodeID) -> Bool {
  crypto_sign_verify_detached(signature.bytes, message, UInt64(message.count), signer.bytes) == 0
}
