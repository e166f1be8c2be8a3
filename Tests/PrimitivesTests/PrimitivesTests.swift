import Primitives
import Testing

@Suite struct TableTests {
  @Test func behavesAsADictionaryThatIteratesInKeyOrder() {
    var generator = SeededGenerator(seed: 1)
    var table = Table<UInt64, Int>()
    var model: [UInt64: Int] = [:]
    for step in 0..<20_000 {
      let key = generator.next(below: 700)
      if generator.chance(partsPerMillion: 400_000) {
        #expect(table.removeValue(forKey: key) == model.removeValue(forKey: key))
      } else {
        #expect(table.updateValue(step, forKey: key) == model.updateValue(step, forKey: key))
      }
      #expect(table.count == model.count)
    }
    #expect(table.keys == model.keys.sorted())
    for (key, value) in table { #expect(model[key] == value) }
    for (offset, key) in table.keys.enumerated() { #expect(table.entry(at: offset)?.key == key) }
    #expect(table.entry(at: table.count) == nil)
    for probe in UInt64(0)..<710 {
      #expect(table.firstEntry(after: probe)?.key == model.keys.filter { $0 > probe }.min())
      #expect(table.lastEntry(upTo: probe)?.key == model.keys.filter { $0 <= probe }.max())
    }
  }

  @Test func aCopyIsNotChangedByItsOriginal() {
    var table = Table<Int, Int>()
    for key in 0..<1_000 { table[key] = key }
    let copy = table
    for key in 0..<1_000 { table[key, default: 0] += 1 }
    table[500] = nil
    #expect(copy.count == 1_000)
    #expect(copy[500] == 500)
    #expect(table[499] == 500)
  }
}

@Suite struct DigestTests {
  @Test func matchesThePublishedHash() {
    // BLAKE2b-256 of the empty string and of "abc", from Python's hashlib.
    #expect(
      Digest(hashing: []).description == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8")
    #expect(
      Digest(hashing: Array("abc".utf8)).description
        == "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319")
  }

  @Test func piecesHashAsTheWhole() {
    var hasher = DigestHasher()
    hasher.update(Array("a".utf8))
    hasher.update([])
    hasher.update(Array("bc".utf8))
    #expect(hasher.finish() == Digest(hashing: Array("abc".utf8)))
  }

  @Test func orderIsTheOrderOfBytes() {
    var generator = SeededGenerator(seed: 3)
    let digests = (0..<200).map { _ in Digest(hashing: (0..<8).map { _ in UInt8(generator.next(below: 256)) }) }
    let byBytes = digests.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    #expect(digests.sorted() == byBytes)
    for digest in digests { #expect(Digest(hex: digest.description) == digest) }
  }
}

@Suite struct TextTests {
  @Test func bech32mRefusesWhatIsNotItself() {
    let bytes = Digest(hashing: [1]).bytes
    let text = Bech32m.encode(bytes, prefix: "ln")
    #expect(Bech32m.decode(text, prefix: "ln") == bytes)
    #expect(Bech32m.decode(text.uppercased(), prefix: "ln") == nil)
    #expect(Bech32m.decode(text, prefix: "lx") == nil)
    for index in text.indices {
      var changed = text
      changed.replaceSubrange(index...index, with: text[index] == "q" ? "p" : "q")
      #expect(Bech32m.decode(changed, prefix: "ln") == nil)
    }
  }

  @Test func textsOver90CharactersAreReadOnlyWhereThatIsAsked() {
    for count in [48, 49, 200] {
      let bytes = [UInt8](repeating: UInt8(count), count: count)
      let text = Bech32m.encode(bytes, prefix: "ln")
      #expect((Bech32m.decode(text, prefix: "ln") == bytes) == (text.count <= 90))
      #expect(Bech32m.decode(text, prefix: "ln", maximumLength: text.count) == bytes)
      #expect(Bech32m.decode(text, prefix: "ln", maximumLength: text.count - 1) == nil)
    }
  }

  @Test func bech32mMatchesBip350() {
    // BIP-350 test vector: the human-readable part "a" with no data.
    #expect(Bech32m.encode([], prefix: "a") == "a1lqfn3a")
  }
}

@Suite struct BoundedMapTests {
  @Test func forgetsTheOldest() {
    var map = BoundedMap<Int, Int>(capacity: 3)
    for key in 0..<3 { #expect(map.insert(key, forKey: key) == nil) }
    map.insert(9, forKey: 0)
    #expect(map.insert(3, forKey: 3) == 0)
    #expect(map.entries.map(\.key) == [1, 2, 3])
  }
}

@Suite struct GeneratorTests {
  @Test func sameSeedSameSequence() {
    var first = SeededGenerator(seed: 42)
    var second = SeededGenerator(seed: 42)
    #expect((0..<100).map { _ in first.next() } == (0..<100).map { _ in second.next() })
  }

  @Test func boundedNumbersAreEven() {
    var generator = SeededGenerator(seed: 5)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[Int(generator.next(below: 7))] += 1 }
    for count in counts { #expect(abs(count - 10_000) < 500) }
  }
}
