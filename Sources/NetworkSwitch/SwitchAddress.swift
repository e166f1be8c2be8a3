import Glibc

/// An IPv4 or IPv6 address as it stands in a packet, or all that begin as it does.
package struct SwitchAddress: Sendable, Hashable, CustomStringConvertible {
  /// 4 or 16 bytes; those behind the prefix are 0.
  package let bytes: [UInt8]
  /// How many of the first bits count.
  package let prefixBitCount: Int

  /// The address of a packet.
  init(bytes: some Sequence<UInt8>) {
    self.bytes = Array(bytes)
    prefixBitCount = self.bytes.count * 8
  }

  /// Reads `10.78.1.3`, `fd78:1::3` or, for all that begin so, `10.200.0.0/16`.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard let first = parts.first, parts.count <= 2 else { return nil }
    let isV6 = first.contains(":")
    var bytes = [UInt8](repeating: 0, count: isV6 ? 16 : 4)
    guard inet_pton(isV6 ? AF_INET6 : AF_INET, String(first), &bytes) == 1 else { return nil }
    var count = bytes.count * 8
    if parts.count == 2 {
      guard let given = Int(parts[1]), (0...count).contains(given) else { return nil }
      count = given
    }
    for bit in count..<bytes.count * 8 { bytes[bit / 8] &= ~(0x80 >> UInt8(bit % 8)) }
    self.bytes = bytes
    prefixBitCount = count
  }

  /// Whether it is one address and no prefix.
  package var isHost: Bool { prefixBitCount == bytes.count * 8 }

  /// Whether all hosts are meant.
  var isMulticast: Bool {
    bytes.count == 16 ? bytes[0] == 0xff : bytes[0] & 0xf0 == 0xe0 || bytes.allSatisfy { $0 == 0xff }
  }

  /// Whether an address begins as this one does.
  func contains(_ address: SwitchAddress) -> Bool {
    guard address.bytes.count == bytes.count else { return false }
    for index in 0..<(prefixBitCount + 7) / 8 {
      let kept = min(8, prefixBitCount - index * 8)
      guard (address.bytes[index] ^ bytes[index]) >> UInt8(8 - kept) == 0 else { return false }
    }
    return true
  }

  /// The text that `init` reads.
  package var description: String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    inet_ntop(bytes.count == 16 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(text.count))
    let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return isHost ? address : "\(address)/\(prefixBitCount)"
  }
}

/// Whom a packet is for.
enum PacketTarget: Equatable {
  case one(SwitchAddress)
  case all

  /// The sender of an IPv6 packet whose address means something on this network alone (fe80::/10).
  static func linkLocalSender(_ packet: UnsafeRawBufferPointer) -> SwitchAddress? {
    guard packet.count >= 40, packet[0] >> 4 == 6, packet[8] == 0xfe, packet[9] & 0xc0 == 0x80 else { return nil }
    return SwitchAddress(bytes: packet[8..<24])
  }

  /// Reads the head of an IP packet; nil for what is none.
  init?(_ packet: UnsafeRawBufferPointer) {
    guard let first = packet.first else { return nil }
    let range: Range<Int>
    switch first >> 4 {
    case 4 where packet.count >= 20: range = 16..<20
    case 6 where packet.count >= 40: range = 24..<40
    default: return nil
    }
    let address = SwitchAddress(bytes: packet[range])
    self = address.isMulticast ? .all : .one(address)
  }
}

/// Which host has which address. Those that a host was given, and the link-local ones that it sends from: the kernel
/// makes them up, and answers to multicast go there.
struct SwitchTable {
  /// How many link-local addresses of one host are known, the newest.
  static let maximumLearned = 8

  private var hosts: [SwitchAddress: Int] = [:]
  private var learned: [SwitchAddress: Int] = [:]
  private var learnedOrder: [Int: [SwitchAddress]] = [:]
  private var prefixes: [(prefix: SwitchAddress, host: Int)] = []

  /// Gives a host its addresses, in place of those that it had. An address that another host has moves.
  mutating func assign(_ addresses: [SwitchAddress], to host: Int) {
    hosts = hosts.filter { $0.value != host }
    prefixes.removeAll { $0.host == host }
    for address in addresses {
      if address.isHost { hosts[address] = host } else { prefixes.append((address, host)) }
    }
    // The longest prefix is found first.
    prefixes.sort { $0.prefix.prefixBitCount > $1.prefix.prefixBitCount }
  }

  /// Takes note of the link-local address that a host sends from.
  mutating func learn(_ address: SwitchAddress, of host: Int) {
    guard learned[address] != host else { return }
    if let before = learned[address] { learnedOrder[before]?.removeAll { $0 == address } }
    learned[address] = host
    learnedOrder[host, default: []].append(address)
    guard let all = learnedOrder[host], all.count > SwitchTable.maximumLearned else { return }
    learned[all[0]] = nil
    learnedOrder[host] = Array(all.dropFirst())
  }

  /// The host that an address leads to.
  func host(of address: SwitchAddress) -> Int? {
    hosts[address] ?? learned[address] ?? prefixes.first { $0.prefix.contains(address) }?.host
  }
}
