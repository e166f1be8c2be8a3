import Foundation
import Primitives
import Sodium
import Testing

@testable import LinkProtocol

/// What `Vectors/make_noise_vectors.py` wrote with another implementation of Noise.
struct NoiseVector: Decodable, CustomTestStringConvertible, Sendable {
  struct Side: Decodable, Sendable {
    var seed, `static`, ephemeral, id: String
  }
  struct TransportMessage: Decodable, Sendable {
    var plaintext: String
    var rekeyBefore: Bool
    var fromInitiator, fromResponder: String
  }
  var name, network, hash: String
  var initiator, responder: Side
  var messages: [String]
  var transport: [TransportMessage]

  var testDescription: String { name }

  static let all: [NoiseVector] = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Vectors/noise.json")
    return try! JSONDecoder().decode([NoiseVector].self, from: Data(contentsOf: file))
  }()

  func side(_ role: NoiseHandshake.Role) throws -> NoiseHandshake {
    let side = role == .initiator ? initiator : responder
    return try NoiseHandshake(
      role: role, identity: SigningKey(seed: bytes(side.seed)), networkID: #require(Digest(hex: network)),
      staticKey: KeyAgreementKey(secret: bytes(side.static)), ephemeral: KeyAgreementKey(secret: bytes(side.ephemeral)))
  }
}

func bytes(_ hex: String) -> [UInt8] { Hex.decode(hex)! }

func sealed(_ plaintext: [UInt8], _ cipher: inout NoiseCipher) -> [UInt8] {
  var buffer = plaintext + [UInt8](repeating: 0, count: NoiseCipher.tagByteCount)
  let isSealed = buffer.withUnsafeMutableBytes { cipher.seal($0) }
  #expect(isSealed)
  return buffer
}

func opened(_ sealed: [UInt8], _ cipher: inout NoiseCipher) -> [UInt8]? {
  var buffer = sealed
  guard buffer.withUnsafeMutableBytes({ cipher.open($0) }) else { return nil }
  return Array(buffer.dropLast(NoiseCipher.tagByteCount))
}

@Suite struct NoiseVectorTests {
  // This side's messages must be the other implementation's to the byte; the other side's come from the file.
  @Test(arguments: NoiseVector.all, [NoiseHandshake.Role.initiator, .responder])
  func otherImplementationAgrees(vector: NoiseVector, role: NoiseHandshake.Role) throws {
    var handshake = try vector.side(role)
    for (index, message) in vector.messages.enumerated() {
      #expect(message.utf8.count == 2 * NoiseHandshake.messageByteCounts[index])
      if handshake.isToWrite {
        #expect(Hex.encode(try handshake.write()) == message)
      } else {
        try handshake.read(bytes(message))
      }
    }
    #expect(handshake.isComplete)
    var session = try handshake.finish()
    let other = role == .initiator ? vector.responder : vector.initiator
    #expect(Hex.encode(session.remoteID.bytes) == other.id)
    #expect(Hex.encode(session.hash) == vector.hash)
    for message in vector.transport {
      if message.rekeyBefore {
        try session.sending.rekey()
        try session.receiving.rekey()
      }
      let (own, others) =
        role == .initiator
        ? (message.fromInitiator, message.fromResponder) : (message.fromResponder, message.fromInitiator)
      #expect(Hex.encode(sealed(bytes(message.plaintext), &session.sending)) == own)
      #expect(opened(bytes(others), &session.receiving) == bytes(message.plaintext))
    }
  }
}
