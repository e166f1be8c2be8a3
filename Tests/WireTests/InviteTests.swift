import Primitives
import Testing
import Wire

@Suite struct InviteTests {
  @Test func everyInviteReadsBackFromItsText() throws {
    var sampler = try Sampler(seed: 60)
    for _ in 0..<200 {
      let invite = sampler.invite()
      #expect(try Invite(text: invite.text) == invite)
      #expect(invite.text.count <= Invite.maximumTextLength)
    }
  }

  @Test func theReasonOfARefusalIsSaid() throws {
    var sampler = try Sampler(seed: 61)
    let invite = sampler.invite()
    func refused(_ text: String) -> InviteError? {
      do {
        _ = try Invite(text: text)
        return nil
      } catch { return error }
    }
    func text(_ bytes: [UInt8]) -> String { Bech32m.encode(bytes, prefix: Invite.textPrefix) }
    #expect(refused("") == .notAnInvite && refused(invite.node.description) == .notAnInvite)
    #expect(refused(String(invite.text.dropLast())) == .damaged)
    #expect(refused(text([UInt8](repeating: 1, count: 400))) == .damaged)
    #expect(refused(text([])) == .malformed(.truncated))
    #expect(refused(text([2] + invite.encoded.dropFirst())) == .unknownVersion(2))
    #expect(refused(text([2])) == .unknownVersion(2))
    #expect(refused(text(invite.encoded + [0])) == .malformed(.trailingBytes))
    #expect(refused(text(Array(invite.encoded.dropLast()))) == .malformed(.truncated))
  }

  /// Texts over 90 characters are read; each single wrong character is still found.
  @Test func oneWrongCharacterIsFoundAnywhere() throws {
    var sampler = try Sampler(seed: 62)
    let addresses = (0..<4).map { _ in sampler.address(isIPv4: false) }
    let grant = InviteGrant(seed: sampler.digest().value)
    let invite = try #require(
      Invite(networkID: sampler.digest(), node: sampler.nodeID(), addresses: addresses, grant: grant))
    let text = Array(invite.text)
    #expect(text.count == Invite.maximumTextLength)
    for index in text.indices {
      var changed = text
      changed[index] = changed[index] == "q" ? "p" : "q"
      #expect(throws: InviteError.self) { try Invite(text: String(changed)) }
    }
  }

  @Test func anInviteHasOneToFourAddresses() throws {
    var sampler = try Sampler(seed: 63)
    let address = sampler.address()
    for count in 0...5 {
      let addresses = [PeerAddress](repeating: address, count: count)
      let invite = Invite(networkID: .zero, node: sampler.nodeID(), addresses: addresses)
      #expect((invite != nil) == (1...4).contains(count))
    }
  }

  /// Who prints an invite, by accident or into a log, does not give the money away.
  @Test func aGrantIsNotPrinted() throws {
    var sampler = try Sampler(seed: 64)
    let grant = InviteGrant(seed: sampler.digest().value)
    let invite = try #require(
      Invite(networkID: .zero, node: sampler.nodeID(), addresses: [sampler.address()], grant: grant))
    var dumped = ""
    dump(invite, to: &dumped)
    for shown in ["\(grant)", "\(invite)", String(reflecting: grant), String(reflecting: invite), dumped] {
      #expect(!shown.contains(Hex.encode(grant.seed.bytes)) && !shown.contains("Bytes32(words") && !shown.isEmpty)
      #expect(!shown.contains("\(grant.seed.prefix)"))
    }
  }
}
