import Sodium

/// The running hash and chaining key of a handshake: the SymmetricState of the Noise specification (revision 34,
/// section 5.2) for 25519, ChaChaPoly and BLAKE2b.
struct NoiseSymmetricState {
  /// Everything seen so far; at the end it names the session on both sides (section 11.2).
  private(set) var hash: [UInt8]
  private var chainingKey: [UInt8]
  private var cipher: NoiseCipher?

  /// A state that has seen the name of the protocol, at most 64 bytes, and the prologue.
  init(protocolName: String, prologue: [UInt8]) {
    let name = Array(protocolName.utf8)
    precondition(name.count <= BLAKE2b.maximumByteCount, "longer names would have to be hashed")
    hash = name + [UInt8](repeating: 0, count: BLAKE2b.maximumByteCount - name.count)
    chainingKey = hash
    mixHash(prologue)
  }

  mutating func mixHash(_ data: [UInt8]) { hash = BLAKE2b.hash(hash + data) }

  mutating func mixKey(_ shared: SecretMemory) throws(SodiumError) {
    var material = shared.withBytes { Array(UnsafeBufferPointer(start: $0, count: shared.count)) }
    defer { zero(&material) }
    var outputs = BLAKE2b.hkdf(chainingKey: chainingKey, material: material, outputs: 2)
    zero(&chainingKey)
    chainingKey = outputs[0]
    cipher = NoiseCipher(key: try NoiseSymmetricState.takeKey(from: &outputs[1]))
  }

  /// The bytes to send for `plaintext`: sealed once there is a key, in the clear before.
  mutating func encryptAndHash(_ plaintext: [UInt8]) -> [UInt8] {
    guard cipher != nil else {
      mixHash(plaintext)
      return plaintext
    }
    var sealed = plaintext + [UInt8](repeating: 0, count: NoiseCipher.tagByteCount)
    // A handshake seals a handful of messages: the nonce cannot run out.
    sealed.withUnsafeMutableBytes { _ = cipher?.seal($0, authenticating: hash) }
    mixHash(sealed)
    return sealed
  }

  /// The plaintext of received bytes; nil when they do not authenticate.
  mutating func decryptAndHash(_ received: [UInt8]) -> [UInt8]? {
    var plaintext = received
    if cipher != nil {
      let opened = plaintext.withUnsafeMutableBytes { cipher?.open($0, authenticating: hash) ?? false }
      guard opened else { return nil }
      plaintext.removeLast(NoiseCipher.tagByteCount)
    }
    mixHash(received)
    return plaintext
  }

  /// The two ciphers of the session: first the initiator's, then the responder's. The state is used up.
  mutating func split() throws(SodiumError) -> (initiator: NoiseCipher, responder: NoiseCipher) {
    var outputs = BLAKE2b.hkdf(chainingKey: chainingKey, material: [], outputs: 2)
    zero(&chainingKey)
    let initiator = NoiseCipher(key: try NoiseSymmetricState.takeKey(from: &outputs[0]))
    let responder = NoiseCipher(key: try NoiseSymmetricState.takeKey(from: &outputs[1]))
    return (initiator, responder)
  }

  // Hash outputs have 64 bytes; a key is the first 32 of them.
  private static func takeKey(from output: inout [UInt8]) throws(SodiumError) -> AEADKey {
    defer { zero(&output) }
    return try output.withUnsafeBufferPointer { buffer throws(SodiumError) in
      try AEADKey(
        SecretMemory(copying: UnsafeBufferPointer(rebasing: buffer[..<AEADKey.byteCount]), in: .shared))
    }
  }
}
