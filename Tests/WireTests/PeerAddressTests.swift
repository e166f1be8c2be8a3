import Testing
import Wire

@Suite struct PeerAddressTests {
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

  @Test(arguments: [
    ("127.0.0.1:1", true), ("10.1.2.3:1", true), ("192.168.0.9:1", true), ("169.254.1.1:1", true),
    ("172.16.0.1:1", true), ("172.32.0.1:1", false), ("100.64.0.1:1", true), ("100.128.0.1:1", false),
    ("8.8.8.8:1", false), ("[::1]:1", true), ("[fd00::1]:1", true), ("[fe80::1]:1", true), ("[2001:db8::1]:1", false),
  ]) func networksOfOnesOwn(text: String, isPrivate: Bool) throws {
    #expect(try #require(PeerAddress(text: text)).isPrivate == isPrivate)
  }

  @Test(arguments: [
    ("[fe80::1]:1", true), ("[febf::1]:1", true), ("[fec0::1]:1", false), ("[fd00::1]:1", false), ("[::1]:1", false),
    ("169.254.1.1:1", false), ("254.128.0.1:1", false),
  ]) func addressesOfOneLink(text: String, isLinkLocal: Bool) throws {
    #expect(try #require(PeerAddress(text: text)).isLinkLocal == isLinkLocal)
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
