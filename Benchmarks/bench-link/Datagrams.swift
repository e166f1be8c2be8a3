import Core
import LinkProtocol
import Primitives
import Sodium
import Wire

/// Pings of members, each valid and each new to the receiver, and what it does with them before its core sees them: the
/// filter, the decoding, the check of the signature with the daemon's own memory of what it checked, the note that it
/// fitted. Sockets are not in it.
struct DatagramPath {
  // More than the filter and the memory of signatures remember, so that they may be told of them again and again.
  private static let count = 65_536
  private static let memberCount = 64

  private struct Sent {
    var datagram: [UInt8]
    var source: PeerAddress
    var author: NodeID
    var statement: [UInt8]
    var signature: Signature
  }
  private let sent: [Sent]
  private let inbound: Inbound
  private var filter: DatagramFilter
  private var index = 0
  private var now = Instant(microseconds: 1_000_000_000)

  init() throws {
    let receiver = try SigningKey.generate().id
    let network = Digest(hashing: [1])
    let secret = randomBytes(DatagramFilter.secretByteCount)
    let members = try (0..<DatagramPath.memberCount).map { index in
      (try SigningKey.generate(), PeerAddress(ip: [10, 0, 0, UInt8(1 + index)], port: 7_447))
    }
    var sender = DatagramFilter(id: members[0].0.id, networkID: network, secret: secret, now: now)
    filter = DatagramFilter(id: receiver, networkID: network, secret: secret, now: now)
    var sent: [Sent] = []
    for number in 0..<DatagramPath.count {
      let (key, source) = members[number % members.count]
      guard let source, filter.known(source, now: now) else { fail("no source") }
      let signer = Signer(id: key.id, networkID: network) { key.sign($0) }
      let ping = Ping(receiver: receiver, number: UInt64(number), height: 1, observed: source, rumours: [])
      let envelope = signer.seal(.ping(ping), sequence: UInt64(number + 1)).value.envelope
      guard let datagram = sender.seal(envelope.encoded, to: source, receiver: receiver, now: now) else {
        fail("a ping was not sealed")
      }
      sent.append(
        Sent(
          datagram: datagram, source: source, author: key.id, statement: envelope.statement,
          signature: envelope.signature))
    }
    self.sent = sent
    guard let validators = ValidatorSet(epoch: 0, members: [receiver]) else { fail("no validators") }
    let cache = VerificationCache()
    inbound = Inbound(
      verifier: Verifier(networkID: network, known: cache.known) { cache.check($0, $1, $2) },
      validators: KnownValidators(validators))
  }

  private mutating func next() -> Sent {
    index = (index + 1) % sent.count
    return sent[index]
  }

  /// What a datagram takes.
  mutating func cost(_ seconds: Double) -> Spent {
    spentEach(seconds, bunch: 64) {
      let one = next()
      // Each member's bucket has a token by its next datagram.
      now = now + Microseconds.milliseconds(1)
      let verdict = one.datagram.withUnsafeBytes {
        filter.judge($0, from: one.source, isMulticast: false, underLoad: false, now: now)
      }
      guard case .pass(let admitted) = verdict, inbound.datagram(admitted.payload, from: one.source).inputs.count == 1
      else { fail("a valid datagram was refused") }
      filter.verified(admitted.mac)
    }
  }

  /// What libsodium takes to verify the signatures of the same datagrams.
  mutating func verificationCost(_ seconds: Double) -> Spent {
    spentEach(seconds, bunch: 64) {
      let one = next()
      guard verify(one.signature, of: one.statement, by: one.author) else { fail("a good signature was refused") }
    }
  }
}
