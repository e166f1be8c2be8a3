import CSodium

/// ChaCha20-Poly1305 with a 12-byte nonce (RFC 8439). A nonce must never be used twice with one key.
package struct AEADKey: Sendable {
  /// Bytes in a key.
  package static let byteCount = 32
  /// Bytes in a nonce.
  package static let nonceByteCount = 12
  /// Bytes by which a sealed message is longer than its plaintext.
  package static let tagByteCount = 16

  private let secret: SecretMemory

  /// A key from guarded memory.
  ///
  /// - Throws: `SodiumError` with code `invalidLength`.
  package init(_ secret: SecretMemory) throws(SodiumError) {
    guard secret.count == AEADKey.byteCount else {
      throw SodiumError(.invalidLength, "A ChaCha20-Poly1305 key has 32 bytes, not \(secret.count).")
    }
    self.secret = secret
  }

  /// A key from its 32 bytes.
  ///
  /// - Throws: `SodiumError` with code `invalidLength` or `outOfMemory`.
  package init(bytes: [UInt8]) throws(SodiumError) { try self.init(SecretMemory(copying: bytes)) }

  /// Seals `plaintext` and authenticates `associated` with it.
  ///
  /// - Throws: `SodiumError` with code `invalidLength` for a nonce that has not 12 bytes.
  package func seal(
    _ plaintext: [UInt8], nonce: [UInt8], authenticating associated: [UInt8] = []
  ) throws(SodiumError) -> [UInt8] {
    try AEADKey.check(nonce)
    return [UInt8](unsafeUninitializedCapacity: plaintext.count + AEADKey.tagByteCount) { output, count in
      count = plaintext.count + AEADKey.tagByteCount
      UnsafeMutableRawBufferPointer(output).copyBytes(from: plaintext)
      sealInPlace(UnsafeMutableRawBufferPointer(output), nonce: nonce, authenticating: associated)
    }
  }

  /// Opens a sealed message.
  ///
  /// - Throws: `SodiumError` with code `authenticationFailed`, or `invalidLength` for a nonce that has not 12 bytes.
  package func open(
    _ sealed: [UInt8], nonce: [UInt8], authenticating associated: [UInt8] = []
  ) throws(SodiumError) -> [UInt8] {
    try AEADKey.check(nonce)
    var plaintext = sealed
    let opened = plaintext.withUnsafeMutableBytes {
      openInPlace($0, nonce: nonce, authenticating: associated)
    }
    guard opened else { throw AEADKey.authenticationFailure }
    plaintext.removeLast(AEADKey.tagByteCount)
    return plaintext
  }

  /// Seals in place: the buffer holds the plaintext followed by room for the 16-byte tag.
  package func sealInPlace(
    _ buffer: UnsafeMutableRawBufferPointer, nonce: [UInt8], authenticating associated: [UInt8] = []
  ) {
    precondition(buffer.count >= AEADKey.tagByteCount && nonce.count == AEADKey.nonceByteCount)
    guard let bytes = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    _ = secret.withBytes { key in
      crypto_aead_chacha20poly1305_ietf_encrypt(
        bytes, nil, bytes, UInt64(buffer.count - AEADKey.tagByteCount), associated, UInt64(associated.count), nil,
        nonce, key)
    }
  }

  /// Opens in place: on success the plaintext stands before the 16 bytes of the tag. False when the tag does not
  /// match or there is no room for one; the buffer's contents are then worthless.
  package func openInPlace(
    _ buffer: UnsafeMutableRawBufferPointer, nonce: [UInt8], authenticating associated: [UInt8] = []
  ) -> Bool {
    precondition(nonce.count == AEADKey.nonceByteCount)
    guard buffer.count >= AEADKey.tagByteCount,
      let bytes = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    else { return false }
    return secret.withBytes { key in
      crypto_aead_chacha20poly1305_ietf_decrypt(
        bytes, nil, nil, bytes, UInt64(buffer.count), associated, UInt64(associated.count), nonce, key) == 0
    }
  }

  private static func check(_ nonce: [UInt8]) throws(SodiumError) {
    guard nonce.count == nonceByteCount else {
      throw SodiumError(.invalidLength, "A ChaCha20-Poly1305 nonce has 12 bytes, not \(nonce.count).")
    }
  }

  private static var authenticationFailure: SodiumError {
    SodiumError(
      .authenticationFailed, "A sealed message was refused: it was made with another key or changed on the way.")
  }
}
