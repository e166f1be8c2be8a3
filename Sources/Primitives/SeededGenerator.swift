/// The generator of the core: xoshiro256** (Blackman and Vigna), seeded by SplitMix64. Deterministic, fast, not
/// for secrets.
public struct SeededGenerator: Sendable, Equatable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  /// A generator whose sequence depends on `seed` alone.
  public init(seed: UInt64) {
    var mixer = seed
    func next() -> UInt64 {
      mixer &+= 0x9e37_79b9_7f4a_7c15
      var z = mixer
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
    state = (next(), next(), next(), next())
  }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 { value << by | value >> (64 - by) }
    let answer = rotate(state.1 &* 5, 7) &* 9
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = rotate(state.3, 45)
    return answer
  }

  /// A number below `bound`, without bias (rejection); 0 when the bound is 0.
  public mutating func next(below bound: UInt64) -> UInt64 {
    guard bound > 1 else { return 0 }
    let limit = UInt64.max - (UInt64.max % bound + 1) % bound
    while true {
      let value = next()
      if value <= limit { return value % bound }
    }
  }

  /// An index below `count`; 0 when there is none.
  public mutating func index(below count: Int) -> Int { Int(next(below: UInt64(Swift.max(0, count)))) }

  /// True with a chance of `parts` in a million.
  public mutating func chance(partsPerMillion parts: UInt64) -> Bool { next(below: 1_000_000) < parts }

  /// A span from zero to `limit`, both included.
  public mutating func span(upTo limit: Microseconds) -> Microseconds {
    Microseconds(Int64(next(below: UInt64(Swift.max(0, limit.count)) &+ 1)))
  }

  /// Shuffles in place (Fisher-Yates).
  public mutating func shuffle<Element>(_ array: inout [Element]) {
    guard array.count > 1 else { return }
    for last in stride(from: array.count - 1, to: 0, by: -1) { array.swapAt(last, index(below: last + 1)) }
  }

  /// Up to `count` members of `array`, chosen without repetition.
  public mutating func sample<Element>(_ array: [Element], count: Int) -> [Element] {
    var rest = array
    shuffle(&rest)
    return Array(rest.prefix(Swift.max(0, count)))
  }

  /// A generator with a sequence of its own, drawn from this one.
  public mutating func fork() -> SeededGenerator { SeededGenerator(seed: next()) }

  /// True when both are the same value.
  public static func == (left: SeededGenerator, right: SeededGenerator) -> Bool { left.state == right.state }
}
