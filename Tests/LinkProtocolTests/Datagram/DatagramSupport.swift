import Primitives
import Sodium
import Testing
import Wire

@testable import LinkProtocol

let datagramNetwork = Digest(hashing: [1])

func at(_ seconds: Int64, milliseconds: Int64 = 0) -> Instant {
  .zero + .seconds(seconds) + .milliseconds(milliseconds)
}

func address(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

func node(_ number: UInt8) -> NodeID { NodeID(bytes: [UInt8](repeating: number, count: 32))! }

/// An envelope written by hand; its signature is of nobody, which a filter cannot see.
func envelope(
  kind: UInt8 = 16, author: NodeID, receiver: NodeID, network: Digest = datagramNetwork, number: UInt64 = 0,
  count: Int = 42
) -> [UInt8] {
  var body = receiver.bytes + (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  body += [UInt8](repeating: 0, count: max(0, count - body.count))
  body = Array(body.prefix(count))
  let length: [UInt8] = count < 128 ? [UInt8(count)] : [UInt8(count & 127) | 128, UInt8(count >> 7)]
  return [1, kind] + Array(network.bytes.prefix(8)) + author.bytes + [UInt8](repeating: 3, count: 8) + length + body
    + [UInt8](repeating: 9, count: 64)
}

/// A node with its filter, and where others see it.
struct DatagramNode {
  let id: NodeID
  let address: PeerAddress
  var filter: DatagramFilter
  private var number: UInt64 = 0

  init(
    _ number: UInt8, _ text: String, network: Digest = datagramNetwork, limits: DatagramLimits = DatagramLimits(),
    now: Instant = .zero
  ) {
    id = node(number)
    address = LinkProtocolTests.address(text)
    filter = DatagramFilter(
      id: id, networkID: network, limits: limits, secret: [UInt8](repeating: number, count: 32), now: now)
  }

  /// A new probe for `other`, as it goes out.
  mutating func probe(_ other: DatagramNode, now: Instant, count: Int = 42) -> [UInt8] {
    number += 1
    let payload = envelope(author: id, receiver: other.id, number: number, count: count)
    return filter.seal(payload, to: other.address, receiver: other.id, now: now)!
  }

  mutating func judge(
    _ datagram: [UInt8], from source: PeerAddress, isMulticast: Bool = false, underLoad: Bool = false, now: Instant
  ) -> DatagramVerdict {
    datagram.withUnsafeBytes {
      filter.judge($0, from: source, isMulticast: isMulticast, underLoad: underLoad, now: now)
    }
  }
}

extension DatagramVerdict {
  var admitted: AdmittedDatagram? { if case .pass(let admitted) = self { admitted } else { nil } }
  var reply: [UInt8]? { if case .reply(let bytes) = self { bytes } else { nil } }
  var resend: [UInt8]? { if case .resend(let bytes) = self { bytes } else { nil } }
  var refusal: DatagramRefusal? { if case .refuse(let refusal) = self { refusal } else { nil } }
}

/// A plain datagram that anyone can make who knows whom it is for: the MAC fits.
func forgedDatagram(
  author: NodeID, receiver: NodeID, network: Digest = datagramNetwork, number: UInt64
) -> [UInt8] {
  let payload = envelope(author: author, receiver: receiver, network: network, number: number | 1 << 63)
  let key = DatagramKeys(id: author, networkID: network).key(of: receiver)
  return DatagramFormat.plain(payload, mac1: DatagramMAC(of: payload, key: key))
}
