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

  @Test func addressesReadBackFromText() {
    for text in ["127.0.0.1:7447", "[::1]:1", "[2001:db8::ff00:42:8329]:65535", "[fe80::1:0:0:1]:2", "[::]:9"] {
      #expect(PeerAddress(text: text)?.description == text)
    }
    for bad in [
      "127.0.0.1", "127.0.0.01:1", "1.2.3:4", "[::1", "[1::2::3]:1", "host:1", "[12345::]:1", "1.2.3.4:70000",
    ] {
      #expect(PeerAddress(text: bad) == nil)
    }
  }

  @Test func thePrefixInOneWordIsTheSameWhereThePrefixIs() throws {
    let addresses = try [
      "10.0.0.1:1", "10.0.0.2:2", "10.0.1.1:1", "0.0.0.1:1", "255.255.255.255:1", "[::1]:1", "[::ff:0:0:0:1]:1",
      "[0:0:0:100::1]:1", "[ffff:ffff:ffff:ffff::]:1", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1",
    ].map { try #require(PeerAddress(text: $0)) }
    for one in addresses {
      for other in addresses { #expect((one.prefixNumber == other.prefixNumber) == (one.prefix == other.prefix)) }
    }
    #expect(addresses[0].prefixNumber == 0x04_0a0000)
    #expect(addresses[9].prefixNumber == 0x06_2001_0db8_0000_00)
  }
}
