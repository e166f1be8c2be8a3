import Primitives
import Sodium
import Synchronization
import Testing
import Wire

/// What comes again is not checked again; what comes once is not remembered.
@Suite struct KnownMessagesTests {
  final class Memory: Sendable {
    private let state = Mutex((known: [Digest](), checks: 0))

    var checks: Int { state.withLock { $0.checks } }

    func verifier(networkID: Digest) -> Verifier {
      let known = VerifiedMessages(
        contains: { id in self.state.withLock { $0.known.contains(id) } },
        insert: { id in self.state.withLock { $0.known.append(id) } })
      return Verifier(networkID: networkID, known: known) { signature, bytes, signer in
        self.state.withLock { $0.checks += 1 }
        return Sodium.verify(signature, of: bytes, by: signer)
      }
    }
  }

  @Test(arguments: EnvelopeKind.allCases) func aMessageIsCheckedAsOftenAsItsKindNeeds(_ kind: EnvelopeKind) throws {
    var sampler = try Sampler(seed: 70)
    let memory = Memory()
    let verifier = memory.verifier(networkID: sampler.networkID)
    let message =
      kind == .transaction
      ? sampler.signer(0).seal(
        .transaction(Transaction(nonce: 1, feeMicrocredits: 0, expiresMilliseconds: 0, action: .renew)), sequence: 1
      ).value : sampler.message(kind, key: 0)
    for _ in 0..<3 { #expect(try verifier.open(message.envelope.encoded).value == message) }
    let comesAgain: [EnvelopeKind] = [.transaction, .nodeRecord, .accusation, .leave]
    #expect(memory.checks == (comesAgain.contains(kind) ? 1 : 3))
    // Another signature is another id: nothing is taken for what is known.
    var forged = message.envelope.encoded
    forged[forged.count - 64] ^= 1
    #expect(throws: VerificationError.badSignature) { try verifier.open(forged) }
    #expect(throws: VerificationError.badSignature) { try verifier.open(forged) }
  }
}
