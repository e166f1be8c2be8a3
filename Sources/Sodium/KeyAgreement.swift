import CSodium

/// An X25519 key pair (RFC 7748). Sendable because its secret is written once and then read-only.
package final class KeyAgreementKey: Sendable {
  /// Bytes in a public key, a secret key and a shared secret.
  package static let byteCount = 32

  /// The public key.
  package let publicKey: [UInt8]

  private let secret: SecretMemory

  /// A key pair of 32 secret bytes (clamped when used, as the RFC says).
  ///
  /// - Throws: `SodiumError` with code `invalidLength` or `outOfMemory`.
  package init(secret bytes: [UInt8]) throws(SodiumError) {
    guard bytes.count == KeyAgreementKey.byteCount else {
      throw SodiumError(.invalidLength, "An X25519 secret key has 32 bytes, not \(bytes.count).")
    }
    let secret = try SecretMemory(copying: bytes)
    self.secret = secret
    publicKey = KeyAgreementKey.publicKey(of: secret)
  }

  private init(randomIn place: SecretMemory.Place) throws(SodiumError) {
    let secret = try SecretMemory(count: KeyAgreementKey.byteCount, in: place) { memory throws(SodiumError) in
      randombytes_buf(memory, KeyAgreementKey.byteCount)
    }
    self.secret = secret
    publicKey = KeyAgreementKey.publicKey(of: secret)
  }

  /// A new random key pair.
  ///
  /// - Throws: `SodiumError` with code `outOfMemory`.
  package static func generate(in place: SecretMemory.Place = .own) throws(SodiumError) -> KeyAgreementKey {
    try KeyAgreementKey(randomIn: place)
  }

  private static func publicKey(of secret: SecretMemory) -> [UInt8] {
    var publicKey = [UInt8](repeating: 0, count: byteCount)
    _ = secret.withBytes { crypto_scalarmult_base(&publicKey, $0) }
    return publicKey
  }

  /// The secret shared with the holder of `publicKey`.
  ///
  /// - Throws: `SodiumError` with code `weakSharedSecret` when the result is all zero (a key of small order),
  ///   `invalidLength` or `outOfMemory`.
  package func sharedSecret(with publicKey: [UInt8]) throws(SodiumError) -> SecretMemory {
    guard publicKey.count == KeyAgreementKey.byteCount else {
      throw SodiumError(.invalidLength, "An X25519 public key has 32 bytes, not \(publicKey.count).")
    }
    return try SecretMemory(count: KeyAgreementKey.byteCount, in: .shared) { memory throws(SodiumError) in
      guard secret.withBytes({ crypto_scalarmult(memory, $0, publicKey) }) == 0 else {
        throw SodiumError(
          .weakSharedSecret, "The other side's X25519 key is of small order: no secret can be shared with it.")
      }
    }
  }
}
