import Primitives
import Sodium
import Testing

@testable import LinkProtocol

@Suite struct NoiseHandshakeTests {
  private let network = Digest(hashing: [1])
  private let one = try! SigningKey.generate()
  private let two = try! SigningKey.generate()

  private func side(
    _ role: NoiseHandshake.Role, _ key: SigningKey, network: Digest? = nil
  ) throws -> NoiseHandshake {
    try NoiseHandshake(
      role: role, identity: key, networkID: network ?? self.network, staticKey: .generate())
  }

  private func refusal(_ handshake: inout NoiseHandshake, _ message: [UInt8]) -> LinkProtocolError.Code? {
    do throws(LinkProtocolError) {
      try handshake.read(message)
      return nil
    } catch {
      return error.code
    }
  }

  @Test func bothLearnWhoTheOtherIs() throws {
    var initiator = try side(.initiator, one)
    var responder = try side(.responder, two)
    #expect(initiator.isToWrite && !responder.isToWrite)
    try responder.read(initiator.write())
    try initiator.read(responder.write())
    #expect(initiator.remoteID == two.id && responder.remoteID == nil)
    try responder.read(initiator.write())
    var (left, right) = (try initiator.finish(), try responder.finish())
    #expect(left.remoteID == two.id && right.remoteID == one.id && left.hash == right.hash)
    let message = sealed([1, 2, 3], &left.sending)
    #expect(opened(message, &right.receiving) == [1, 2, 3])
    // A replay does not open, and does no harm to what follows.
    #expect(opened(message, &right.receiving) == nil)
    #expect(opened(sealed([4], &left.sending), &right.receiving) == [4])
    // Out of order does not open.
    _ = sealed([5], &left.sending)
    #expect(opened(sealed([6], &left.sending), &right.receiving) == nil)
  }

  @Test func anotherNetworkIsNamed() throws {
    var initiator = try side(.initiator, one, network: Digest(hashing: [2]))
    var responder = try side(.responder, two)
    #expect(refusal(&responder, try initiator.write()) == .wrongNetwork)
  }

  // A node that claims this network in the clear but has another one fails at the prologue.
  @Test func aFalseClaimOfTheNetworkFails() throws {
    var initiator = try side(.initiator, one, network: Digest(hashing: [2]))
    var responder = try side(.responder, two)
    var first = try initiator.write()
    first.replaceSubrange(32..., with: network.bytes.prefix(8))
    try responder.read(first)
    #expect(refusal(&initiator, try responder.write()) == .badHandshake)
  }

  @Test func everyChangedByteIsRefused() throws {
    for step in 1...2 {
      for index in 0..<NoiseHandshake.messageByteCounts[step] {
        var initiator = try side(.initiator, one)
        var responder = try side(.responder, two)
        try responder.read(initiator.write())
        var message = try responder.write()
        if step == 1 {
          message[index] ^= 4
          let code = refusal(&initiator, message)
          #expect(code == .badHandshake, "message 2, byte \(index)")
        } else {
          try initiator.read(message)
          message = try initiator.write()
          message[index] ^= 4
          let code = refusal(&responder, message)
          #expect(code == .badHandshake, "message 3, byte \(index)")
        }
      }
    }
  }

  @Test func otherLengthsAreRefusedAndEndTheHandshake() throws {
    for length in [0, 1, 31, 39, 41, 65_535] {
      var responder = try side(.responder, two)
      #expect(refusal(&responder, [UInt8](repeating: 7, count: length)) == .malformedHandshake)
      var initiator = try side(.initiator, one)
      #expect(refusal(&responder, try initiator.write()) == .malformedHandshake)
    }
  }

  @Test func ephemeralKeysOfSmallOrderAreRefused() throws {
    var responder = try side(.responder, two)
    try responder.read([UInt8](repeating: 0, count: 32) + network.bytes.prefix(8))
    let error = #expect(throws: LinkProtocolError.self) { try responder.write() }
    #expect(error?.code == .badHandshake)
  }

  // Someone relays the proof of another node over a handshake with a static key of their own.
  @Test func anIdentityWithoutItsStaticKeyIsRefused() throws {
    let relay = try KeyAgreementKey.generate()
    let stolen = one.id.bytes + one.sign(Array("linnet/1/link-identity".utf8) + [0] + network.bytes + [1]).bytes
    var symmetric = NoiseSymmetricState(
      protocolName: NoiseHandshake.protocolName, prologue: Array("linnet/1/noise".utf8) + network.bytes)
    let ephemeral = try KeyAgreementKey.generate()
    var responder = try side(.responder, two)
    symmetric.mixHash(ephemeral.publicKey)
    try responder.read(ephemeral.publicKey + symmetric.encryptAndHash(Array(network.bytes.prefix(8))))
    let second = try responder.write()
    let remoteEphemeral = Array(second[..<32])
    symmetric.mixHash(remoteEphemeral)
    try symmetric.mixKey(ephemeral.sharedSecret(with: remoteEphemeral))
    let decrypted = symmetric.decryptAndHash(Array(second[32..<80]))
    let remoteStatic = try #require(decrypted)
    try symmetric.mixKey(ephemeral.sharedSecret(with: remoteStatic))
    let proof = symmetric.decryptAndHash(Array(second[80...]))
    #expect(proof?.count == 96)
    let sealedStatic = symmetric.encryptAndHash(relay.publicKey)
    try symmetric.mixKey(relay.sharedSecret(with: remoteEphemeral))
    let third = sealedStatic + symmetric.encryptAndHash(stolen)
    #expect(refusal(&responder, third) == .badIdentity)
  }

  @Test func ownIdentityIsRefused() throws {
    var initiator = try side(.initiator, one)
    var responder = try side(.responder, one)
    try responder.read(initiator.write())
    #expect(refusal(&initiator, try responder.write()) == .ownIdentity)
  }
}
