/// Bech32m text of bytes (BIP-173 with the checksum constant of BIP-350). Decoding is strict: lower case
/// only, zero padding only, and by default no length beyond 90 characters.
public enum Bech32m {
  private static let alphabet = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l".utf8)
  private static let checksumConstant: UInt32 = 0x2bc8_30a3
  /// The longest text for which BIP-173 says how many wrong characters are found for certain: four.
  public static let maximumLength = 90

  /// The text of `bytes` under a lower-case `prefix`.
  public static func encode(_ bytes: [UInt8], prefix: String) -> String {
    let data = regroup(bytes, from: 8, to: 5, pad: true) ?? []
    let values = expand(prefix) + data + [0, 0, 0, 0, 0, 0]
    let remainder = polymod(values) ^ checksumConstant
    let checksum = (0..<6).map { UInt8(truncatingIfNeeded: remainder >> UInt32(5 * (5 - $0))) & 31 }
    let text = (data + checksum).map { alphabet[Int($0)] }
    return prefix + "1" + String(decoding: text, as: UTF8.self)
  }

  /// The bytes of `text`; nil unless prefix, alphabet, padding and checksum are right and it has at most `maximumLength`
  /// characters. In texts above 90 the checksum is a checksum of 30 bits and no more.
  public static func decode(
    _ text: some StringProtocol, prefix: String, maximumLength: Int = Bech32m.maximumLength
  ) -> [UInt8]? {
    let characters = Array(text.utf8)
    let head = Array(prefix.utf8) + [0x31]
    guard characters.count <= maximumLength, characters.count >= head.count + 6, characters.starts(with: head) else {
      return nil
    }
    var data: [UInt8] = []
    for character in characters.dropFirst(head.count) {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      data.append(UInt8(value))
    }
    guard polymod(expand(prefix) + data) == checksumConstant else { return nil }
    return regroup(Array(data.dropLast(6)), from: 5, to: 8, pad: false)
  }

  private static func expand(_ prefix: String) -> [UInt8] {
    prefix.utf8.map { $0 >> 5 } + [0] + prefix.utf8.map { $0 & 31 }
  }

  private static func polymod(_ values: [UInt8]) -> UInt32 {
    let generator: [UInt32] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
    var checksum: UInt32 = 1
    for value in values {
      let top = checksum >> 25
      checksum = (checksum & 0x1ff_ffff) << 5 ^ UInt32(value)
      for bit in 0..<5 where top >> UInt32(bit) & 1 == 1 { checksum ^= generator[bit] }
    }
    return checksum
  }

  private static func regroup(_ input: [UInt8], from: UInt32, to: UInt32, pad: Bool) -> [UInt8]? {
    var accumulator: UInt32 = 0
    var bits: UInt32 = 0
    var output: [UInt8] = []
    for value in input {
      accumulator = (accumulator << from | UInt32(value)) & 0xfff
      bits += from
      while bits >= to {
        bits -= to
        output.append(UInt8(truncatingIfNeeded: accumulator >> bits & (1 << to - 1)))
      }
    }
    let rest = accumulator & (1 << bits - 1)
    if pad {
      if bits > 0 { output.append(UInt8(truncatingIfNeeded: rest << (to - bits))) }
    } else if bits >= from || rest != 0 {
      return nil
    }
    return output
  }
}
