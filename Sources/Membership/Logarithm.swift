/// Logarithms in whole numbers: no float may reach a decision.
enum Logarithm {
  /// 1000 · log10 of `value`, a little below the true one (at most 26): the bit length, and a straight line
  /// between powers of two. 0 for values below 2.
  static func thousandthsOfLog10(_ value: Int) -> Int64 {
    guard value > 1 else { return 0 }
    let bits = Int64(Int.bitWidth - 1 - value.leadingZeroBitCount)
    let power = Int64(1) << bits
    let fraction = (Int64(value) - power).multipliedReportingOverflow(by: 1_000)
    let thousandthsOfLog2 = bits * 1_000 + (fraction.overflow ? 0 : fraction.partialValue / power)
    return thousandthsOfLog2 * 30_103 / 100_000
  }

  /// ceil(log10(value + 1)), at least 1: the decimal digits of `value`.
  static func digits(_ value: Int) -> Int {
    var rest = max(0, value) / 10
    var digits = 1
    while rest > 0 {
      digits += 1
      rest /= 10
    }
    return digits
  }

  /// 1000 · log(confirmations + 1) / log(expected + 1), Lifeguard's curve, for up to three expected.
  static func thousandthsOfConfirmation(_ confirmations: Int, expected: Int) -> Int64 {
    guard confirmations < expected else { return 1_000 }
    guard confirmations > 0 else { return 0 }
    switch (confirmations, expected) {
    case (1, 2): return 631
    case (1, _): return 500
    default: return 792
    }
  }
}
