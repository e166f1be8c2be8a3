import Foundation
import Primitives
import Testing
import Wire

@testable import LinkProtocol

/// What `Vectors/make_datagram_vectors.py` wrote with another implementation of BLAKE2b.
@Suite struct DatagramVectorTests {
  private let vectors: [String: [UInt8]]
  private let ipv4 = address("192.0.2.7:7447")
  private let ipv6 = address("[2001:db8::7]:7447")

  init() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let data = try Data(contentsOf: folder.appendingPathComponent("Vectors/datagrams.json"))
    vectors = try JSONDecoder().decode([String: String].self, from: data).mapValues { try #require(Hex.decode($0)) }
  }

  private func bytes(_ name: String) throws -> [UInt8] { try #require(vectors[name]) }

  private func id(_ name: String) throws -> NodeID { try #require(NodeID(bytes: bytes(name))) }

  private func filter(_ name: String) throws -> DatagramFilter {
    DatagramFilter(
      id: try id(name), networkID: try #require(Digest(bytes: bytes("network"))), secret: try bytes("secret"),
      now: .zero)
  }

  private func judge(
    _ filter: inout DatagramFilter, _ name: String, from source: PeerAddress, isMulticast: Bool = false,
    underLoad: Bool = false, now: Instant = .zero
  ) throws -> DatagramVerdict {
    try bytes(name).withUnsafeBytes {
      filter.judge($0, from: source, isMulticast: isMulticast, underLoad: underLoad, now: now)
    }
  }

  @Test func plain() throws {
    var sender = try filter("one")
    #expect(sender.seal(try bytes("probe"), to: ipv4, receiver: try id("two"), now: .zero) == (try bytes("plain")))
    var receiver = try filter("two")
    let admitted = try judge(&receiver, "plain", from: ipv4).admitted
    #expect(admitted?.payload == (try bytes("probe")))
    #expect(admitted?.isProven == false)
  }

  @Test func cookieReplyAndWithCookie() throws {
    for (source, family) in [(ipv4, "IPv4"), (ipv6, "IPv6")] {
      var sender = try filter("one")
      _ = sender.seal(try bytes("probe"), to: ipv4, receiver: try id("two"), now: .zero)
      var receiver = try filter("two")
      let reply = try judge(&receiver, "plain", from: source, underLoad: true).reply
      #expect(reply == (try bytes("cookieReply\(family)")))
      #expect(try judge(&sender, "cookieReply\(family)", from: ipv4).resend == (try bytes("withCookie\(family)")))
      let admitted = try judge(&receiver, "withCookie\(family)", from: source, underLoad: true).admitted
      #expect(admitted?.isProven == true)
      #expect(admitted?.payload == (try bytes("probe")))
    }
  }

  @Test func cookieOfTheNextSecret() throws {
    var receiver = try filter("two")
    #expect(try judge(&receiver, "withLaterCookie", from: ipv4).admitted?.isProven == false)
    #expect(try judge(&receiver, "withLaterCookie", from: ipv4, now: at(120)).admitted?.isProven == true)
  }

  @Test func beacon() throws {
    let sender = try filter("one")
    #expect(sender.sealBeacon(try bytes("record")) == (try bytes("beacon")))
    var receiver = try filter("two")
    #expect(try judge(&receiver, "beacon", from: ipv4, isMulticast: true).admitted?.payload == (try bytes("record")))
  }
}
