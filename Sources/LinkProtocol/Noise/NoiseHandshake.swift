import Primitives
import Sodium

// The handshake, by the rules:
// 1. Noise_XX_25519_ChaChaPoly_BLAKE2b (Noise specification, revision 34):
//      -> e          payload: the first 8 bytes of the network id, in the clear
//      <- e, ee, s, es  payload: proof of identity
//      -> s, se         payload: proof of identity
// 2. The prologue is "linnet/1/noise" and the network id: without the same network nothing decrypts. The 8 bytes of
//    message 1 are there so that a node of another network is told from an attacker, before any key agreement.
// 3. A proof of identity is the Ed25519 public key and its signature over
//    "linnet/1/link-identity" 0x00, the network id, and the X25519 static key that the handshake authenticates.
// 4. The static key is made anew by every process: the identity is the Ed25519 key. (A changed static key therefore
//    tells that the other node was restarted.)

/// One side of a handshake, without a socket: messages go in and out as bytes.
package struct NoiseHandshake {
  /// Which side of the handshake.
  package enum Role: Sendable {
    /// The side that dialled: writes the first message.
    case initiator
    /// The side that was dialled.
    case responder
  }

  /// What a finished handshake gives.
  package struct Session {
    /// Seals what this side sends.
    package var sending: NoiseCipher
    /// Opens what the other side sends.
    package var receiving: NoiseCipher
    /// The other node.
    package var remoteID: NodeID
    /// The other process's X25519 static key: 32 bytes.
    package var remoteStatic: [UInt8]
    /// The handshake's hash, equal on both sides and unique to the session: 64 bytes.
    package var hash: [UInt8]
  }

  static let protocolName = "Noise_XX_25519_ChaChaPoly_BLAKE2b"
  /// Bytes of the network id in message 1.
  static let networkPrefixByteCount = 8
  private static let proofByteCount = 32 + 64
  /// Bytes of messages 1, 2 and 3: every other length is refused unread.
  static let messageByteCounts = [
    32 + networkPrefixByteCount,
    32 + 32 + NoiseCipher.tagByteCount + proofByteCount + NoiseCipher.tagByteCount,
    32 + NoiseCipher.tagByteCount + proofByteCount + NoiseCipher.tagByteCount,
  ]

  let role: Role
  /// The other node, once its proof was checked.
  package private(set) var remoteID: NodeID?

  private let identity: SigningKey
  private let networkID: Digest
  private let staticKey: KeyAgreementKey
  private let ephemeral: KeyAgreementKey
  private var symmetric: NoiseSymmetricState
  private var remoteEphemeral: [UInt8] = []
  private var remoteStatic: [UInt8] = []
  private var nextMessage = 0
  private var failed = false

  /// A handshake that has exchanged nothing.
  ///
  /// - Parameters:
  ///   - staticKey: this process's X25519 key.
  ///   - ephemeral: given by tests only; a fresh key is made otherwise.
  /// - Throws: `LinkProtocolError` with code `internalFailure`.
  package init(
    role: Role, identity: SigningKey, networkID: Digest, staticKey: KeyAgreementKey, ephemeral: KeyAgreementKey? = nil
  ) throws(LinkProtocolError) {
    self.role = role
    self.identity = identity
    self.networkID = networkID
    self.staticKey = staticKey
    do throws(SodiumError) {
      if let ephemeral { self.ephemeral = ephemeral } else { self.ephemeral = try .generate(in: .shared) }
    } catch {
      throw .keyFailure(error)
    }
    symmetric = NoiseSymmetricState(
      protocolName: NoiseHandshake.protocolName, prologue: Array("linnet/1/noise".utf8) + networkID.bytes)
  }

  /// True when this side's message is next.
  package var isToWrite: Bool { nextMessage < 3 && (nextMessage % 2 == 0) == (role == .initiator) }

  /// True when all three messages were exchanged, until `finish`.
  package var isComplete: Bool { nextMessage == 3 && !failed }

  /// Bytes of the message that this side waits for; nil when it waits for none.
  package var expectedByteCount: Int? {
    nextMessage < 3 && !isToWrite ? NoiseHandshake.messageByteCounts[nextMessage] : nil
  }

  /// The next message of this side. To be called when `isToWrite`, and not after an error.
  ///
  /// - Throws: `LinkProtocolError` with code `badHandshake` (the other side's key is of small order) or
  ///   `internalFailure`. The handshake is over then.
  package mutating func write() throws(LinkProtocolError) -> [UInt8] {
    precondition(isToWrite && !failed, "messages are written in turn")
    var message: [UInt8] = []
    do throws(SodiumError) {
      switch nextMessage {
      case 0:
        message += ephemeral.publicKey
        symmetric.mixHash(ephemeral.publicKey)
        message += symmetric.encryptAndHash(Array(networkID.bytes.prefix(NoiseHandshake.networkPrefixByteCount)))
      case 1:
        message += ephemeral.publicKey
        symmetric.mixHash(ephemeral.publicKey)
        try symmetric.mixKey(ephemeral.sharedSecret(with: remoteEphemeral))
        message += symmetric.encryptAndHash(staticKey.publicKey)
        try symmetric.mixKey(staticKey.sharedSecret(with: remoteEphemeral))
        message += symmetric.encryptAndHash(proof)
      default:
        message += symmetric.encryptAndHash(staticKey.publicKey)
        try symmetric.mixKey(staticKey.sharedSecret(with: remoteEphemeral))
        message += symmetric.encryptAndHash(proof)
      }
    } catch {
      failed = true
      throw .keyFailure(error)
    }
    nextMessage += 1
    return message
  }

  /// Takes the other side's next message.
  ///
  /// - Throws: `LinkProtocolError` with code `malformedHandshake`, `wrongNetwork`, `badHandshake`, `badIdentity`,
  ///   `ownIdentity` or `internalFailure`. The handshake is over then.
  package mutating func read(_ message: [UInt8]) throws(LinkProtocolError) {
    guard !failed, let expected = expectedByteCount, message.count == expected else {
      failed = true
      throw LinkProtocolError(.malformedHandshake, "What came is not a handshake message of Linnet.")
    }
    do throws(LinkProtocolError) {
      switch nextMessage {
      case 0: try readFirst(message)
      case 1: try readSecond(message)
      default: try readThird(message)
      }
    } catch {
      failed = true
      throw error
    }
    nextMessage += 1
  }

  /// The session of a complete handshake; there is one only once.
  ///
  /// - Throws: `LinkProtocolError` with code `internalFailure`.
  package mutating func finish() throws(LinkProtocolError) -> Session {
    guard isComplete, let remoteID else {
      throw LinkProtocolError(.internalFailure, "The handshake is not complete.")
    }
    failed = true
    do {
      let (initiator, responder) = try symmetric.split()
      return Session(
        sending: role == .initiator ? initiator : responder, receiving: role == .initiator ? responder : initiator,
        remoteID: remoteID, remoteStatic: remoteStatic, hash: symmetric.hash)
    } catch {
      throw .keyFailure(error)
    }
  }

  private mutating func readFirst(_ message: [UInt8]) throws(LinkProtocolError) {
    remoteEphemeral = Array(message[..<32])
    symmetric.mixHash(remoteEphemeral)
    guard let prefix = symmetric.decryptAndHash(Array(message[32...])),
      prefix.elementsEqual(networkID.bytes.prefix(NoiseHandshake.networkPrefixByteCount))
    else {
      throw LinkProtocolError(.wrongNetwork, "The other side is a node of another network.")
    }
  }

  private mutating func readSecond(_ message: [UInt8]) throws(LinkProtocolError) {
    remoteEphemeral = Array(message[..<32])
    symmetric.mixHash(remoteEphemeral)
    try mixShared(with: remoteEphemeral)
    try readStatic(message[32..<80])
    try mixShared(with: remoteStatic)
    try readProof(message[80...])
  }

  private mutating func readThird(_ message: [UInt8]) throws(LinkProtocolError) {
    try readStatic(message[..<48])
    try mixShared(with: remoteStatic)
    try readProof(message[48...])
  }

  private mutating func mixShared(with key: [UInt8]) throws(LinkProtocolError) {
    do {
      try symmetric.mixKey(ephemeral.sharedSecret(with: key))
    } catch {
      throw .keyFailure(error)
    }
  }

  private mutating func readStatic(_ sealed: ArraySlice<UInt8>) throws(LinkProtocolError) {
    guard let key = symmetric.decryptAndHash(Array(sealed)) else { throw .undecryptable }
    remoteStatic = key
  }

  private mutating func readProof(_ sealed: ArraySlice<UInt8>) throws(LinkProtocolError) {
    guard let payload = symmetric.decryptAndHash(Array(sealed)) else { throw .undecryptable }
    guard let id = NodeID(bytes: payload.prefix(32)), let signature = Signature(bytes: payload.dropFirst(32)),
      verify(signature, of: NoiseHandshake.statement(networkID: networkID, staticKey: remoteStatic), by: id)
    else {
      throw LinkProtocolError(
        .badIdentity, "The other side showed an identity whose signature does not fit the key of the handshake.")
    }
    guard id != identity.id else {
      throw LinkProtocolError(.ownIdentity, "The address leads back to this node itself.")
    }
    remoteID = id
  }

  private var proof: [UInt8] {
    let statement = NoiseHandshake.statement(networkID: networkID, staticKey: staticKey.publicKey)
    return identity.id.bytes + identity.sign(statement).bytes
  }

  private static func statement(networkID: Digest, staticKey: [UInt8]) -> [UInt8] {
    Array("linnet/1/link-identity".utf8) + [0] + networkID.bytes + staticKey
  }
}

extension LinkProtocolError {
  fileprivate static var undecryptable: LinkProtocolError {
    LinkProtocolError(
      .badHandshake,
      "A handshake message could not be decrypted: it was changed on the way, or made for another network."
    )
  }

  fileprivate static func keyFailure(_ error: SodiumError) -> LinkProtocolError {
    error.code == .weakSharedSecret
      ? LinkProtocolError(.badHandshake, "The other side sent a key of small order.", cause: error.message)
      : LinkProtocolError(.internalFailure, "Cannot make the keys of a handshake.", cause: error.message)
  }
}
