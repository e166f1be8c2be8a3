import Primitives
import Wire

// Node records, accusations and the datagrams that they ride on.

extension Refusal {
  static func membership() throws -> [Refusal] {
    var sampler = try Sampler(seed: 11)
    let envelope = sampler.message(.accusation, key: 0).envelope.encoded
    let ping = sampler.message(.nack, key: 0).envelope
    // Receiver, number, height and the observed address.
    let beforeRumours = [UInt8](repeating: 0, count: 41) + [4] + [UInt8](repeating: 0, count: 6)
    let list = sampler.message(.nodeList, key: 0).envelope
    let via = (0..<4).map { _ in NodeID(sampler.digest().value) }.sorted()
    let long = String(repeating: "x", count: 64)
    func record(
      name: String = "n", addresses: UInt64 = 0, roles: UInt8 = 0, agent: String = "a", via: [NodeID] = []
    ) -> [UInt8] {
      var writer = WireWriter()
      writer.string(name)
      writer.varint(addresses)
      for _ in 0..<addresses { writer.raw([4, 127, 0, 0, 1, 1, 0]) }
      writer.uint8(roles)
      writer.digest(.zero)
      writer.string(agent)
      writer.array(via) { $0.nodeID($1) }
      writer.uint64(0)
      return writer.bytes
    }
    func altered(_ position: Int, _ byte: UInt8) -> [UInt8] {
      var bytes = envelope
      bytes[position] = byte
      return bytes
    }
    let overlong = EnvelopeKind.allCases.map { kind in
      Refusal("Envelope", "a payload over the bound of \(kind.name)", .tooLong(what: "envelope payload")) { writer in
        writer.raw([1, kind.rawValue] + [UInt8](repeating: 0, count: 48))
        writer.lengthPrefixed([UInt8](repeating: 0, count: kind.maximumPayloadBytes + 1))
        writer.signature(.zero)
      }
    }
    return overlong + [
      Refusal("NodeRecord", "a name of 64 bytes", .tooLong(what: "node name")) { $0.raw(record(name: long)) },
      Refusal("NodeRecord", "five addresses", .tooLong(what: "node addresses")) { $0.raw(record(addresses: 5)) },
      Refusal("NodeRecord", "a role without a meaning", .badValue(what: "roles")) { $0.raw(record(roles: 4)) },
      Refusal("NodeRecord", "an agent of 32 bytes", .tooLong(what: "agent version")) {
        $0.raw(record(agent: String(long.prefix(32))))
      },
      Refusal("NodeRecord", "four nodes to be reached through", .tooLong(what: "via nodes")) {
        $0.raw(record(via: via))
      },
      Refusal("NodeRecord", "a node to be reached through twice", .notAscending(what: "via nodes")) {
        $0.raw(record(via: [via[0], via[0]]))
      },
      Refusal("NodeRecord", "nodes to be reached through in another order", .notAscending(what: "via nodes")) {
        $0.raw(record(via: [via[1], via[0]]))
      },
      Refusal("Ping", "a height of one byte", .unknownTag(what: "address family")) { writer in
        writer.raw([UInt8](repeating: 0, count: 34) + [4] + [UInt8](repeating: 0, count: 6) + [0])
      },
      Refusal("Ping", "a rumour that is a node list", .badValue(what: "rumour kind")) { writer in
        writer.raw(beforeRumours)
        writer.array([list])
      },
      Refusal("Ack", "a rumour that is a node list", .badValue(what: "rumour kind")) { writer in
        writer.raw(beforeRumours)
        writer.array([list])
      },
      Refusal("Ping", "nine rumours", .tooLong(what: "rumours")) { writer in
        writer.raw(beforeRumours)
        writer.varint(9)
        for _ in 0..<9 { writer.raw(envelope) }
      },
      Refusal("Ping", "a rumour that is a nack", .badValue(what: "rumour kind")) { writer in
        writer.raw(beforeRumours)
        writer.array([ping])
      },
      Refusal("Envelope", "version 0", .unknownTag(what: "envelope version")) { $0.raw(altered(0, 0)) },
      Refusal("Envelope", "version 2", .unknownTag(what: "envelope version")) { $0.raw(altered(0, 2)) },
      Refusal("Envelope", "kind 0", .unknownTag(what: "envelope kind")) { $0.raw(altered(1, 0)) },
      Refusal("Envelope", "kind 33", .unknownTag(what: "envelope kind")) { $0.raw(altered(1, 33)) },
      Refusal("Message", "the payload of another kind", .truncated) { $0.raw(altered(1, 17)) },
      Refusal("Message", "a payload with a byte too many", .trailingBytes) { writer in
        writer.raw(envelope.prefix(50) + [41] + [UInt8](repeating: 7, count: 41))
        writer.signature(.zero)
      },
    ]
  }
}
