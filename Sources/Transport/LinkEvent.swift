import Primitives
import Wire

/// Who dialled a link.
package enum LinkDirection: String, Sendable {
  /// The other node.
  case inbound
  /// This node.
  case outbound
}

/// What happens on an endpoint's links, in order for each link.
package enum LinkEvent: Sendable {
  /// A link is up: the node, where it is connected from or to, and who dialled.
  case up(NodeID, PeerAddress, LinkDirection)
  /// A link is gone. Frames that were accepted for sending may not have arrived.
  case down(NodeID, LinkCloseReason)
  /// A frame arrived. The link proves who sent it. Its bytes are owed to the sender until `LinkEndpoint.consumed`: once
  /// as many are as the channel's window has, no more of this channel is sent.
  case received(NodeID, LinkChannel, [UInt8])
  /// Whether much waits to be sent on a channel of a link: true when it begins, false when it ends.
  case congested(NodeID, LinkChannel, Bool)
  /// A dial came to nothing: the address, the node that was expected there, and why.
  case dialFailed(PeerAddress, NodeID?, TransportError)
}

/// Why a link is gone.
package enum LinkCloseReason: Sendable, Equatable, CustomStringConvertible {
  /// `close` was called here, with this reason.
  case requested(String)
  /// This endpoint is shut down.
  case shutdown
  /// Another link to the same node takes its place.
  case replaced
  /// Nothing was heard for the silence limit.
  case silent
  /// The other side takes so little of what is sent to it that this waits for ever, or is in the way of what others are sent.
  case slowConsumer
  /// The connection broke; the text says how.
  case lost(String)
  /// The other side said that it closes the link.
  case closedByPeer(LinkNotice)
  /// The other side broke the protocol; the text says how. The name is that of the counter.
  case violation(String)
  /// Something failed here, such as memory for a key.
  case failed(String)

  /// For people.
  package var description: String {
    switch self {
    case .requested(let reason): reason
    case .shutdown: "this node shuts down"
    case .replaced: "another link to the same node takes its place"
    case .silent: "nothing heard from the other node"
    case .slowConsumer: "the other node does not take what is sent to it"
    case .lost(let how): "the connection broke: \(how)"
    case .closedByPeer(let notice): "closed by the other node (\(notice))"
    case .violation(let how): "the other node broke the protocol (\(how))"
    case .failed(let how): "failed here: \(how)"
    }
  }
}

/// What is known about a link.
package struct LinkInfo: Sendable, Equatable {
  /// The other node.
  package var id: NodeID
  /// Where it is connected from or to.
  package var address: PeerAddress
  /// Who dialled.
  package var direction: LinkDirection
  /// Since when the link is up, in microseconds since 1970.
  package var sinceUnixMicroseconds: UInt64
  /// Bytes received on the connection since then.
  package var bytesIn: UInt64
  /// Bytes sent on the connection since then.
  package var bytesOut: UInt64
  /// The smoothed round-trip time of pings, in microseconds; nil before the first answer.
  package var roundTripMicroseconds: UInt64?
  /// The link's channels, in their order.
  package var streams: [StreamInfo]
  /// How often either side went on to its next key.
  package var rekeys: UInt64
  /// What waits to be sent, on all channels; each frame counts a little more than its bytes.
  package var waitingBytes: Int
}

/// What is known about a channel of a link, as the stream that it is.
package struct StreamInfo: Sendable, Equatable {
  /// The stream's id.
  package var id: UInt32
  /// What it is for.
  package var channel: LinkChannel
  /// Bytes sent, with the frames' lengths.
  package var sentBytes: UInt64
  /// Bytes received, with the frames' lengths.
  package var receivedBytes: UInt64
  /// What waits to be sent; each frame counts a little more than its bytes.
  package var queuedBytes: Int
  /// Bytes that may be sent before the other side makes room.
  package var sendWindowBytes: Int
  /// Bytes received for which this side has made no room again.
  package var unconsumedBytes: Int
}
