import Primitives
import Wire

/// Transactions that wait to be spread: many that are handled in one turn of the core's loop go to a peer in one frame.
struct GossipBatch {
  /// The most bytes of a frame of several transactions.
  static let maximumBytes = 256 * 1_024

  private struct Part {
    var envelopes: [Envelope] = []
    var bytes = 0
  }

  private var parts: [NodeID: Part] = [:]

  /// True when nothing waits.
  var isEmpty: Bool { parts.isEmpty }

  /// Adds transactions for a peer. Returns the messages that are full and are to be sent now.
  mutating func add(_ envelopes: [Envelope], to peer: NodeID) -> [GossipMessage] {
    var full: [GossipMessage] = []
    var part = parts[peer] ?? Part()
    for envelope in envelopes {
      let size = Envelope.overheadBytes + envelope.payload.count
      if part.envelopes.count == GossipMessage.maximumEnvelopes
        || !part.envelopes.isEmpty && part.bytes + size > GossipBatch.maximumBytes
      {
        full.append(.publish(part.envelopes))
        part = Part()
      }
      part.envelopes.append(envelope)
      part.bytes += size
    }
    parts[peer] = part
    return full
  }

  /// Everything that waits, and nothing waits any more.
  mutating func drain() -> [(peer: NodeID, message: GossipMessage)] {
    defer { parts = [:] }
    return parts.filter { !$0.value.envelopes.isEmpty }.map { ($0.key, .publish($0.value.envelopes)) }
  }
}
