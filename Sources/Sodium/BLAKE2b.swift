import CSodium

/// BLAKE2b (RFC 7693), plain and keyed, HMAC over it (RFC 2104), and the HKDF of the Noise specification.
package enum BLAKE2b {
  /// Bytes in the longest hash, and in those of HMAC and HKDF.
  package static let maximumByteCount = 64
  /// Bytes in the longest key.
  package static let maximumKeyByteCount = 64
  /// Bytes in the block that HMAC pads its key to.
  private static let blockByteCount = 128

  /// The hash of `message`, keyed when `key` is not empty.
  ///
  /// - Parameters:
  ///   - count: bytes of hash wanted, 16 to 64. The length is part of the function: no hash is another's prefix.
  ///   - key: empty, or 16 to 64 bytes.
  package static func hash(_ message: [UInt8], count: Int = maximumByteCount, key: [UInt8] = []) -> [UInt8] {
    precondition((16...maximumByteCount).contains(count), "lengths of hashes come from code")
    precondition(key.isEmpty || (16...maximumKeyByteCount).contains(key.count), "lengths of keys come from code")
    var output = [UInt8](repeating: 0, count: count)
    _ = crypto_generichash(&output, count, message, UInt64(message.count), key, key.count)
    return output
  }

  /// The hash of bytes that lie in a buffer, keyed when `key` is not empty; lengths as above.
  package static func hash(_ message: UnsafeRawBufferPointer, count: Int, key: [UInt8]) -> [UInt8] {
    precondition((16...maximumByteCount).contains(count), "lengths of hashes come from code")
    precondition(key.isEmpty || (16...maximumKeyByteCount).contains(key.count), "lengths of keys come from code")
    var output = [UInt8](repeating: 0, count: count)
    let bytes = message.baseAddress?.assumingMemoryBound(to: UInt8.self)
    _ = crypto_generichash(&output, count, bytes, UInt64(message.count), key, key.count)
    return output
  }

  /// HMAC-BLAKE2b-512 (RFC 2104). A key longer than 128 bytes is hashed first.
  package static func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
    var padded = key.count > blockByteCount ? hash(key) : key
    padded.append(contentsOf: repeatElement(0, count: blockByteCount - padded.count))
    var inner = padded.map { $0 ^ 0x36 } + message
    var outer = padded.map { $0 ^ 0x5c } + hash(inner)
    defer {
      zero(&padded)
      zero(&inner)
      zero(&outer)
    }
    return hash(outer)
  }

  /// HKDF of the Noise specification (section 4.3) with two or three outputs of 64 bytes.
  ///
  /// - Parameters:
  ///   - chainingKey: 64 bytes.
  ///   - material: nothing, 32 bytes, or the output of a key agreement.
  ///   - outputs: 2 or 3.
  package static func hkdf(chainingKey: [UInt8], material: [UInt8], outputs: Int) -> [[UInt8]] {
    precondition(outputs == 2 || outputs == 3, "the Noise specification knows two forms")
    var temporary = hmac(material, key: chainingKey)
    defer { zero(&temporary) }
    let first = hmac([1], key: temporary)
    let second = hmac(first + [2], key: temporary)
    return outputs == 2 ? [first, second] : [first, second, hmac(second + [3], key: temporary)]
  }
}
