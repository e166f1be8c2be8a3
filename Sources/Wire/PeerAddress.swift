import Primitives

/// An IP address and a port: where a node was last seen.
public struct PeerAddress: Hashable, Comparable, Sendable, CustomStringConvertible, WireCodable {
  /// 4 bytes (IPv4) or 16 bytes (IPv6), in network order.
  public let ip: [UInt8]
  /// The port; UDP and TCP share it.
  public let port: UInt16

  /// An address; nil unless `ip` has 4 or 16 bytes. An IPv4-mapped IPv6 address becomes its IPv4 form.
  public init?(ip: [UInt8], port: UInt16) {
    if ip.count == 16, ip.starts(with: PeerAddress.mappedPrefix) {
      self.ip = Array(ip.suffix(4))
    } else if ip.count == 4 || ip.count == 16 {
      self.ip = ip
    } else {
      return nil
    }
    self.port = port
  }

  private static let mappedPrefix: [UInt8] = [UInt8](repeating: 0, count: 10) + [0xff, 0xff]

  /// True for IPv4.
  public var isIPv4: Bool { ip.count == 4 }

  /// True when a datagram or a connection to it makes sense: a port, and neither unspecified, multicast
  /// nor broadcast. A gossiped address that is not usable is never written to.
  public var isUsable: Bool {
    guard port != 0, ip.contains(where: { $0 != 0 }) else { return false }
    if isIPv4 { return ip[0] != 0 && ip[0] < 224 }
    return ip[0] != 0xff
  }

  /// True on the loopback interface.
  public var isLoopback: Bool {
    isIPv4 ? ip[0] == 127 : ip == [UInt8](repeating: 0, count: 15) + [1]
  }

  /// True for an IPv6 address of one link (`fe80::/10`, RFC 4291, section 2.5.6): which one, only the interface says.
  public var isLinkLocal: Bool { !isIPv4 && ip[0] == 0xfe && ip[1] & 0xc0 == 0x80 }

  /// True in ranges where one prefix says nothing about who runs the hosts: loopback, link-local of both families
  /// (RFC 3927, RFC 4291), private (RFC 1918, RFC 4193), and those that providers share out behind their own translators
  /// (RFC 6598).
  public var isPrivate: Bool {
    if isLoopback || isLinkLocal { return true }
    guard isIPv4 else { return ip[0] & 0xfe == 0xfc }
    return switch (ip[0], ip[1]) {
    case (10, _), (192, 168), (169, 254), (172, 16...31), (100, 64...127): true
    default: false
    }
  }

  /// The /24 of an IPv4 or the /56 of an IPv6 address: what limits for each source count by.
  public var prefix: [UInt8] { Array(ip.prefix(isIPv4 ? 3 : 7)) }

  /// The prefix in one word: its bytes below one that tells the families apart.
  public var prefixNumber: UInt64 { ip.prefix(isIPv4 ? 3 : 7).reduce(isIPv4 ? 4 : 6) { $0 << 8 | UInt64($1) } }

  /// The order that tables and messages rely on.
  public static func < (left: PeerAddress, right: PeerAddress) -> Bool {
    if left.ip.count != right.ip.count { return left.ip.count < right.ip.count }
    if left.ip != right.ip { return left.ip.lexicographicallyPrecedes(right.ip) }
    return left.port < right.port
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.uint8(isIPv4 ? 4 : 6)
    writer.raw(ip)
    writer.uint16(port)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    let count: Int
    switch try reader.uint8() {
    case 4: count = 4
    case 6: count = 16
    default: throw .unknownTag(what: "address family")
    }
    let ip = try reader.raw(count)
    let port = try reader.uint16()
    guard let address = PeerAddress(ip: ip, port: port), address.ip.count == count else {
      throw .badValue(what: "address")
    }
    self = address
  }

  /// `a.b.c.d:port` or `[v6]:port`, the IPv6 text as RFC 5952 says.
  public var description: String { isIPv4 ? "\(ipText):\(port)" : "[\(ipText)]:\(port)" }

  /// The IP address alone as text.
  public var ipText: String {
    if isIPv4 { return ip.map(String.init).joined(separator: ".") }
    let groups = (0..<8).map { UInt16(ip[$0 * 2]) << 8 | UInt16(ip[$0 * 2 + 1]) }
    var best = (start: 0, length: 1)
    var index = 0
    while index < 8 {
      var end = index
      while end < 8 && groups[end] == 0 { end += 1 }
      if end - index > best.length { best = (index, end - index) }
      index = max(end, index + 1)
    }
    func text(_ range: Range<Int>) -> String {
      groups[range].map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard best.length > 1 else { return text(0..<8) }
    return text(0..<best.start) + "::" + text(best.start + best.length..<8)
  }

  /// Reads `a.b.c.d:port` or `[v6]:port`; nil for anything else, names included.
  public init?(text: some StringProtocol) {
    // Digits are checked first: `UInt16` also reads signs.
    guard let colon = text.lastIndex(of: ":"), case let digits = text[text.index(after: colon)...],
      digits.utf8.count <= 5, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits)
    else { return nil }
    var host = text[..<colon]
    if host.first == "[", host.last == "]" {
      host = host.dropFirst().dropLast()
      guard let ip = PeerAddress.parseIPv6(host) else { return nil }
      self.init(ip: ip, port: port)
    } else {
      guard let ip = PeerAddress.parseIPv4(host) else { return nil }
      self.init(ip: ip, port: port)
    }
  }

  private static func parseIPv4(_ text: some StringProtocol) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { part in
      part.utf8.allSatisfy { (0x30...0x39).contains($0) } && (part.utf8.count == 1 || part.first != "0")
        ? UInt8(part) : nil
    }
    return parts.count == 4 && bytes.count == 4 ? bytes : nil
  }

  private static func parseIPv6(_ text: some StringProtocol) -> [UInt8]? {
    func groups(_ part: some StringProtocol, isEnd: Bool) -> [UInt16]? {
      if part.isEmpty { return [] }
      var values: [UInt16] = []
      let pieces = part.split(separator: ":", omittingEmptySubsequences: false)
      for (index, piece) in pieces.enumerated() {
        if isEnd, index == pieces.count - 1, piece.contains("."), let four = parseIPv4(piece) {
          values.append(UInt16(four[0]) << 8 | UInt16(four[1]))
          values.append(UInt16(four[2]) << 8 | UInt16(four[3]))
        } else if piece.utf8.count <= 4, piece.first != "+", piece.first != "-",
          let value = UInt16(piece, radix: 16)
        {
          values.append(value)
        } else {
          return nil
        }
      }
      return values
    }
    let characters = Array(text.utf8)
    let gap = zip(characters.indices, characters.dropFirst()).first { characters[$0.0] == 0x3a && $0.1 == 0x3a }?.0
    var all: [UInt16]
    if let gap {
      guard let left = groups(String(decoding: characters[..<gap], as: UTF8.self), isEnd: false),
        let right = groups(String(decoding: characters[(gap + 2)...], as: UTF8.self), isEnd: true),
        left.count + right.count < 8
      else { return nil }
      all = left + [UInt16](repeating: 0, count: 8 - left.count - right.count) + right
    } else {
      guard let whole = groups(text, isEnd: true) else { return nil }
      all = whole
    }
    guard all.count == 8 else { return nil }
    return all.flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] }
  }
}
