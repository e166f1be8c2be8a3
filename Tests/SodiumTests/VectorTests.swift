import Primitives
import Testing

@testable import Sodium

func bytes(_ hex: String) -> [UInt8] { Hex.decode(hex)! }

@Suite struct SignatureVectors {
  // RFC 8032, section 7.1, tests 1 to 3.
  @Test(arguments: [
    (
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    ),
    (
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    ),
    (
      "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    ),
  ])
  func ed25519(seed: String, publicKey: String, message: String, signature: String) throws {
    let key = try SigningKey(seed: bytes(seed))
    #expect(Hex.encode(key.id.bytes) == publicKey)
    let made = key.sign(bytes(message))
    #expect(made.description == signature)
    #expect(verify(made, of: bytes(message), by: key.id))
    #expect(!verify(made, of: bytes(message) + [0], by: key.id))
    #expect(!verify(.zero, of: bytes(message), by: key.id))
    var other = made.bytes
    other[40] ^= 1
    #expect(!verify(try #require(Signature(bytes: other)), of: bytes(message), by: key.id))
  }

  // With a public key of small order, R = identity and S = 0 would verify for any message without the check.
  @Test func keysOfSmallOrderAreRefused() throws {
    let identity = [UInt8(1)] + [UInt8](repeating: 0, count: 31)
    let signature = try #require(Signature(bytes: identity + [UInt8](repeating: 0, count: 32)))
    let signer = try #require(NodeID(bytes: identity))
    #expect(!verify(signature, of: [1, 2, 3], by: signer))
  }

  // S + L satisfies the same equation as S; it must be refused, or a signature had two forms.
  @Test func scalarsThatAreNotReducedAreRefused() throws {
    let key = try SigningKey.generate()
    var forged = key.sign([7]).bytes
    let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
    var carry = 0
    for index in 0..<32 {
      let sum = Int(forged[32 + index]) + Int(order[index]) + carry
      forged[32 + index] = UInt8(sum & 255)
      carry = sum >> 8
    }
    #expect(!verify(try #require(Signature(bytes: forged)), of: [7], by: key.id))
  }

  @Test func generatedKeysDiffer() throws {
    #expect(try SigningKey.generate().id != SigningKey.generate().id)
    #expect(throws: SodiumError.self) { try SigningKey(seed: [1, 2, 3]) }
  }
}

@Suite struct KeyAgreementVectors {
  // RFC 7748, section 6.1.
  @Test func x25519() throws {
    let alice = try KeyAgreementKey(
      secret: bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
    let bob = try KeyAgreementKey(
      secret: bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
    #expect(Hex.encode(alice.publicKey) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    #expect(Hex.encode(bob.publicKey) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    for shared in [try alice.sharedSecret(with: bob.publicKey), try bob.sharedSecret(with: alice.publicKey)] {
      let text = shared.withBytes { Hex.encode(Array(UnsafeBufferPointer(start: $0, count: 32))) }
      #expect(text == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    }
  }

  @Test(arguments: [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ])
  func keysOfSmallOrderAreRefused(publicKey: String) throws {
    let key = try KeyAgreementKey.generate()
    let error = #expect(throws: SodiumError.self) { try key.sharedSecret(with: bytes(publicKey)) }
    #expect(error?.code == .weakSharedSecret)
  }

  @Test func wrongLengthsAreRefused() throws {
    #expect(throws: SodiumError.self) { try KeyAgreementKey(secret: [1]) }
    let key = try KeyAgreementKey.generate()
    let error = #expect(throws: SodiumError.self) { try key.sharedSecret(with: [1]) }
    #expect(error?.code == .invalidLength)
  }
}

@Suite struct AEADVectors {
  private let plaintext = Array(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
      .utf8)

  // RFC 8439, section 2.8.2.
  @Test func chaCha20Poly1305() throws {
    let key = try AEADKey(bytes: Array(0x80...0x9f))
    let nonce = bytes("070000004041424344454647")
    let associated = bytes("50515253c0c1c2c3c4c5c6c7")
    let sealed = try key.seal(plaintext, nonce: nonce, authenticating: associated)
    #expect(
      Hex.encode(sealed)
        == "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
        + "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
        + "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        + "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691")
    #expect(try key.open(sealed, nonce: nonce, authenticating: associated) == plaintext)
  }

  @Test func everyChangeIsRefused() throws {
    let key = try AEADKey(bytes: randomBytes(32))
    let nonce = [UInt8](repeating: 0, count: 12)
    let sealed = try key.seal([1, 2, 3], nonce: nonce, authenticating: [9])
    #expect(sealed.count == 3 + AEADKey.tagByteCount)
    for index in sealed.indices {
      var changed = sealed
      changed[index] ^= 0x80
      #expect(throws: SodiumError.self) { try key.open(changed, nonce: nonce, authenticating: [9]) }
    }
    #expect(throws: SodiumError.self) { try key.open(sealed, nonce: nonce) }
    #expect(throws: SodiumError.self) { try key.open(sealed, nonce: [1] + nonce.dropFirst(), authenticating: [9]) }
    #expect(throws: SodiumError.self) { try key.open(Array(sealed.prefix(15)), nonce: nonce) }
    #expect(throws: SodiumError.self) { try key.open([], nonce: nonce) }
    #expect(throws: SodiumError.self) { try key.seal([], nonce: [1]) }
    #expect(throws: SodiumError.self) { try AEADKey(bytes: [1]) }
    #expect(try key.open(key.seal([], nonce: nonce), nonce: nonce).isEmpty)
  }
}

@Suite struct HashVectors {
  // RFC 7693, appendix A, and the last keyed vector of the BLAKE2 authors' set.
  @Test func blake2b() {
    #expect(
      Hex.encode(BLAKE2b.hash(Array("abc".utf8)))
        == "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
        + "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923")
    #expect(
      Hex.encode(BLAKE2b.hash(Array(0..<255), key: Array(0..<64)))
        == "142709d62e28fcccd0af97fad0f8465b971e82201dc51070faa0372aa43e9248"
        + "4be1c1e73ba10906d5d1853db6a4106e0a7bf9800d373d6dee2d46d62ef2a461")
    #expect(Hex.encode(BLAKE2b.hash([], count: 20)) == "3345524abf6bbe1809449224b5972c41790b6cf2")
    let keyed = BLAKE2b.hash(Array("linnet".utf8), count: 16, key: Array(0..<32))
    #expect(Hex.encode(keyed) == "c0a02b158efa3d5b6d8a530155d1db67")
    let buffered = Array("linnet".utf8).withUnsafeBytes { BLAKE2b.hash($0, count: 16, key: Array(0..<32)) }
    #expect(buffered == keyed)
    #expect(BLAKE2b.hash([1, 2], count: 32) == Digest(hashing: [1, 2]).bytes)
  }

  // Made with Python: hmac.new(key, message, 'blake2b').
  @Test func hmac() {
    #expect(
      Hex.encode(BLAKE2b.hmac(Array("abc".utf8), key: [UInt8](repeating: 200, count: 200)))
        == "896be22e43a173cf54e1b4cd1f0f249b8fdebe641312d0bc4ee454bfc36f0f92"
        + "2cc7880f023391fb9a0805d25a1e2bbb3052050c28d07998db3a8c1b6b4b4ba0")
  }

  // Made with Python's hmac and hashlib by section 4.3 of the Noise specification.
  @Test func hkdf() {
    let three = BLAKE2b.hkdf(chainingKey: Array(0..<64), material: Array(100..<132), outputs: 3).map(Hex.encode)
    let expected = [
      "2262ed5f40c3324574d00a1e0849a7cc67fb5b6a80211c3c59404bb8e47512b1"
        + "cb95e73840718c5d68ca345f934f39a52f1f31e8f6d3ed521f0664f46feddae4",
      "f6a6559fa2aaab64d3d2666b83fe3f4fed6fae1959537fedd6a39b6f8d411e61"
        + "32593234cc2a750244335da5021c27bf7eacbb65cfa608457de6ecc144b90077",
      "07c82c1301c70e885f4662f1f3f7b7bb9e04d81c94a6e1882f812c02ffb69580"
        + "c93095bb599ad2fced3d3cf38c9c17df4fb3c0029f231247fca69b040e16449e",
    ]
    #expect(three == expected)
    let two = BLAKE2b.hkdf(chainingKey: Array(0..<64), material: Array(100..<132), outputs: 2).map(Hex.encode)
    #expect(two == Array(expected.prefix(2)))
    let empty = BLAKE2b.hkdf(chainingKey: Array(0..<64), material: [], outputs: 2).map(Hex.encode)
    #expect(
      empty == [
        "03be0946afb62e33dcc2e8cb76dfad47663d284d81c0bde963f32a283dede221"
          + "be2b9e3a86fa82934234d2a6ed331fb664a3e670252b9454da9ed2567b435e11",
        "8481b385940ea1ddc1e37243d34e6a00d9e35fe86844b75be2f9d084efcbf4a9"
          + "d18c764645baf5262707efcb490c9ddfcc81c78ff75e1e727428f05b9fee857f",
      ])
  }

  @Test func comparisonAndRandomness() {
    #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
    #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
    #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
    #expect(constantTimeEqual([], []))
    #expect(randomBytes(32) != randomBytes(32))
    #expect(randomBytes(0).isEmpty)
  }
}
