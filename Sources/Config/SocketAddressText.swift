import Foundation
import Primitives

/// A host and a port as a person writes them: `127.0.0.1:7447`, `[::1]:7447`, `node.example:7447`.
package struct SocketAddressText: Hashable, Sendable, CustomStringConvertible {
  /// An IP address without brackets, or a DNS name. At most 253 bytes.
  package let host: String
  /// 1 to 65535.
  package let port: UInt16
  /// What `host` is.
  package let form: HostForm

  /// How a host is written.
  package enum HostForm: Hashable, Sendable {
    case ipv4, ipv6, name
  }

  /// The text form; an IPv6 address stands in brackets.
  package var description: String { form == .ipv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// Whether `host` is an IP address and not a name.
  package var isLiteral: Bool { form != .name }

  /// Whether `host` is the address that means "every interface" (`0.0.0.0` or `::`).
  package var isUnspecified: Bool {
    switch form {
    case .ipv4: host == "0.0.0.0"
    case .ipv6: host.allSatisfy { $0 == "0" || $0 == ":" }
    case .name: false
    }
  }

  /// Reads `ip:port`, `[v6]:port` or `host:port`. Throws what is wrong with the text.
  package init(_ text: String) throws(AddressTextError) {
    let hostText: Substring
    let portText: Substring
    let isBracketed = text.hasPrefix("[")
    if isBracketed {
      guard let close = text.firstIndex(of: "]") else {
        throw AddressTextError(text: text, reason: "the bracket before the IPv6 address is not closed")
      }
      hostText = text[text.index(after: text.startIndex)..<close]
      let rest = text[text.index(after: close)...]
      guard rest.hasPrefix(":") else {
        throw AddressTextError(text: text, reason: "the port is missing: write [\(hostText)]:PORT")
      }
      portText = rest.dropFirst()
    } else {
      guard let colon = text.lastIndex(of: ":") else {
        throw AddressTextError(text: text, reason: "the port is missing: write \(text.isEmpty ? "HOST" : text):PORT")
      }
      hostText = text[..<colon]
      portText = text[text.index(after: colon)...]
      guard !hostText.contains(":") else {
        throw AddressTextError(text: text, reason: "an IPv6 address needs brackets: write [ADDRESS]:PORT")
      }
    }
    guard !portText.isEmpty, portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(portText),
      port > 0
    else {
      throw AddressTextError(text: text, reason: "the port must be a number from 1 to 65535, not \"\(portText)\"")
    }
    let host = String(hostText)
    self.port = port
    self.host = host
    if isBracketed {
      guard Self.isIPv6(host) else {
        throw AddressTextError(text: text, reason: "\"\(host)\" is no IPv6 address")
      }
      form = .ipv6
    } else if Self.isIPv4(host) {
      form = .ipv4
    } else {
      guard Self.isName(host) else {
        throw AddressTextError(text: text, reason: "\"\(host)\" is neither an IPv4 address nor a host name")
      }
      form = .name
    }
  }

  private static func isIPv4(_ host: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, host, &address) == 1
  }

  private static func isIPv6(_ host: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET6, host, &address) == 1
  }

  /// RFC 1123 names, with underscores, which real zones hold. A name whose last label is a number would be
  /// a mistyped IPv4 address.
  private static func isName(_ host: String) -> Bool {
    let name = host.hasSuffix(".") ? host.dropLast() : host[...]
    guard !name.isEmpty, name.utf8.count <= 253 else { return false }
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    guard let last = labels.last, !last.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return false }
    return labels.allSatisfy { label in
      (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
        && label.utf8.allSatisfy { byte in
          (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || byte == 0x2D || byte == 0x5F
        }
    }
  }
}

/// Where to find a first peer: `host:port`, or `id@host:port` when only that node will do.
package struct BootstrapAddress: Hashable, Sendable, CustomStringConvertible {
  /// The node's id in text form (`ln1...`), its checksum verified; nil when any node at the address will do.
  package let identity: String?
  /// Where it listens.
  package let address: SocketAddressText

  /// The text form.
  package var description: String { identity.map { "\($0)@\(address)" } ?? "\(address)" }

  /// Reads `host:port` or `id@host:port`. Throws what is wrong with the text.
  package init(_ text: String) throws(AddressTextError) {
    guard let at = text.firstIndex(of: "@") else {
      identity = nil
      address = try SocketAddressText(text)
      return
    }
    let id = text[..<at]
    guard let node = NodeID(text: id) else {
      throw AddressTextError(
        text: text, reason: "\"\(id)\" is no node id, or mistyped: copy it from `linnet status` of that node")
    }
    identity = node.description
    do {
      address = try SocketAddressText(String(text[text.index(after: at)...]))
    } catch {
      throw AddressTextError(text: text, reason: error.reason)
    }
  }
}

/// Why a text is no address.
package struct AddressTextError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was read.
  package let text: String
  /// What is wrong with it, for a person.
  package let reason: String

  /// Text and reason in one line.
  package var description: String { "\"\(text)\" is no address: \(reason)" }
}
