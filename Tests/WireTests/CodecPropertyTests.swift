import Primitives
import Testing
import Wire

@Suite struct CodecPropertyTests {
  @Test(arguments: WireType.all) func valuesReadBackAsTheyWereWritten(_ type: WireType) throws {
    var sampler = try Sampler(seed: 1)
    for _ in 0..<150 {
      let value = try type.make(&sampler)
      let bytes = value.encoded
      let again = try type.decode(bytes)
      #expect(type.areEqual(value, again))
      #expect(again.encoded == bytes)
      #expect(fieldsJSON(again).utf8.elementsEqual(fieldsJSON(value).utf8))
    }
  }

  /// No two sequences of bytes are the same value: what decodes encodes to itself.
  @Test(arguments: WireType.all) func mutantsAreRefusedOrCanonical(_ type: WireType) throws {
    var sampler = try Sampler(seed: 2)
    var refused = 0
    var accepted = 0
    func examine(_ mutant: [UInt8]) {
      guard let value = try? type.decode(mutant) else { return refused += 1 }
      accepted += 1
      #expect(value.encoded == mutant, "\(type.name) \(Hex.encode(mutant))")
    }
    for _ in 0..<12 {
      let bytes = try type.make(&sampler).encoded
      var positions = Array(bytes.indices)
      sampler.generator.shuffle(&positions)
      for position in positions.prefix(40) + bytes.indices.prefix(24) {
        for bit in 0..<8 {
          var mutant = bytes
          mutant[position] ^= 1 << UInt8(bit)
          examine(mutant)
        }
        var longer = bytes
        longer.insert([0, 1, 0x7f, 0x80, 0xff][sampler.generator.index(below: 5)], at: position)
        examine(longer)
        var shorter = bytes
        shorter.remove(at: position)
        examine(shorter)
        // 80 00 is the longest way to write what 00 writes, and so on for every small varint.
        if bytes[position] < 0x80 {
          var padded = bytes
          padded[position] |= 0x80
          padded.insert(0, at: position + 1)
          examine(padded)
        }
      }
    }
    // A type of nothing but fixed bytes accepts much, none accepts everything.
    #expect(refused > 100 && refused + accepted > 200)
  }

  @Test(arguments: WireType.all) func everyPrefixAndEveryExtensionIsRefused(_ type: WireType) throws {
    var sampler = try Sampler(seed: 3)
    for _ in 0..<10 {
      let bytes = try type.make(&sampler).encoded
      let lengths =
        bytes.count <= 300 ? Array(0..<bytes.count) : Array(0..<150) + Array(bytes.count - 150..<bytes.count)
      for length in lengths {
        #expect(throws: WireError.truncated) { _ = try type.decode(Array(bytes.prefix(length))) }
      }
      for extra: [UInt8] in [[0], [1], [0x80], [0, 0, 0, 0], bytes] {
        #expect(throws: WireError.trailingBytes) { _ = try type.decode(bytes + extra) }
      }
    }
  }

  @Test func noiseNeverDecodesToAnotherEncoding() throws {
    var sampler = try Sampler(seed: 4)
    var accepted = 0
    for _ in 0..<20_000 {
      let type = WireType.all[sampler.generator.index(below: WireType.all.count)]
      let noise = sampler.bytes(sampler.generator.index(below: 60)).map { sampler.bool() ? $0 & 3 : $0 }
      guard let value = try? type.decode(noise) else { continue }
      accepted += 1
      #expect(value.encoded == noise)
    }
    #expect(accepted > 0)
  }
}
