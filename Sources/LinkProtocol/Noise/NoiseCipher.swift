import Sodium

/// One direction's cipher: the CipherState of the Noise specification (revision 34, section 5.1) with
/// ChaCha20-Poly1305.
package struct NoiseCipher {
  /// Bytes by which a sealed message is longer than its plaintext.
  package static let tagByteCount = AEADKey.tagByteCount
  // The specification keeps the highest nonce for rekeying.
  private static let rekeyNonce = UInt64.max

  private var key: AEADKey
  private var nonce: UInt64 = 0

  init(key: AEADKey) { self.key = key }

  /// Seals the plaintext in `buffer`, whose last 16 bytes are room for the tag. False when 2^64 - 1 messages were
  /// sealed: the cipher is used up.
  package mutating func seal(_ buffer: UnsafeMutableRawBufferPointer, authenticating associated: [UInt8] = []) -> Bool {
    guard nonce != NoiseCipher.rekeyNonce else { return false }
    key.sealInPlace(buffer, nonce: NoiseCipher.bytes(of: nonce), authenticating: associated)
    nonce += 1
    return true
  }

  /// Opens `buffer` in place; the plaintext is all but its last 16 bytes. False when it does not authenticate:
  /// changed, replayed, out of order or truncated. The nonce then stays, as the specification says.
  package mutating func open(_ buffer: UnsafeMutableRawBufferPointer, authenticating associated: [UInt8] = []) -> Bool {
    guard nonce != NoiseCipher.rekeyNonce,
      key.openInPlace(buffer, nonce: NoiseCipher.bytes(of: nonce), authenticating: associated)
    else { return false }
    nonce += 1
    return true
  }

  /// Replaces the key by a one-way function of itself (section 4.2, REKEY). The nonce goes on.
  ///
  /// - Throws: `SodiumError` with code `outOfMemory`; the key is then the old one.
  package mutating func rekey() throws(SodiumError) {
    var block = [UInt8](repeating: 0, count: AEADKey.byteCount + AEADKey.tagByteCount)
    defer { zero(&block) }
    block.withUnsafeMutableBytes { key.sealInPlace($0, nonce: NoiseCipher.bytes(of: NoiseCipher.rekeyNonce)) }
    key = try block.withUnsafeBufferPointer { buffer throws(SodiumError) in
      try AEADKey(
        SecretMemory(copying: UnsafeBufferPointer(rebasing: buffer[..<AEADKey.byteCount]), in: .shared))
    }
  }

  // Four zero bytes, then the counter in little-endian order (section 12.3).
  private static func bytes(of nonce: UInt64) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: AEADKey.nonceByteCount) { buffer, count in
      for index in 0..<4 { buffer[index] = 0 }
      for index in 0..<8 { buffer[4 + index] = UInt8(truncatingIfNeeded: nonce >> (8 * UInt64(index))) }
      count = AEADKey.nonceByteCount
    }
  }
}
