/// A fast hash for the simulator's own use: 128 bits, two lanes of multiply and fold. It keeps transcripts apart and
/// stands in for signatures; it resists nobody who tries.
struct Mixer {
  private var low: UInt64
  private var high: UInt64

  init(_ seed: UInt64 = 0) {
    low = seed ^ 0x9e37_79b9_7f4a_7c15
    high = seed &+ 0xd1b5_4a32_d192_ed03
  }

  private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
  }

  /// Adds a number.
  mutating func add(_ word: UInt64) {
    low = Mixer.fold(low ^ word, 0xa076_1d64_78bd_642f) &+ high
    high = Mixer.fold(high ^ word, 0xe703_7ed1_a0b4_28db) ^ (low << 1)
  }

  /// Adds bytes and their number.
  mutating func add(_ bytes: [UInt8]) {
    add(UInt64(bytes.count))
    bytes.withUnsafeBytes { raw in
      var offset = 0
      while offset + 8 <= raw.count {
        add(UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
        offset += 8
      }
      var rest: UInt64 = 0
      while offset < raw.count {
        rest = rest << 8 | UInt64(raw[offset])
        offset += 1
      }
      add(rest)
    }
  }

  /// The two halves of the hash of all that was added.
  var halves: (UInt64, UInt64) {
    var end = self
    end.add(0x5851_f42d_4c95_7f2d)
    end.add(high)
    return (end.low, end.high)
  }
}
