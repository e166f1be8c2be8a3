import Primitives
import Sodium
import Testing
import Wire

@Suite struct CodecTests {
  @Test func varintsAreMinimalOnly() throws {
    for value: UInt64 in [0, 1, 127, 128, 16_383, 16_384, .max - 1, .max] {
      var writer = WireWriter()
      writer.varint(value)
      var reader = WireReader(writer.bytes)
      #expect(try reader.varint() == value)
      try reader.finish()
    }
    for bad: [UInt8] in [[0x80, 0x00], [0xff, 0x00], [UInt8](repeating: 0xff, count: 10) + [1], [0x80]] {
      var reader = WireReader(bad)
      #expect(throws: WireError.self) { try reader.varint() }
    }
  }
}
