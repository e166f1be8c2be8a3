/// The limits of a datagram endpoint.
package struct DatagramConfiguration: Sendable {
  /// Bytes in the longest datagram, tag included, a constant of the protocol: it fits every path's packets.
  package static let maximumByteCount = 1_200
  /// Bytes of the tag that opens each datagram.
  package static let tagByteCount = 16
  /// Bytes in the longest payload: there is room for a type byte and two tags, mac1 and mac2.
  package static let maximumPayloadByteCount = maximumByteCount - 1 - 2 * tagByteCount

  /// Datagrams a second from one known source.
  package var knownPerSecond = 500
  /// Datagrams at once from one known source after a pause.
  package var knownBurst = 1_000
  /// Datagrams a second from the unknown sources of one /24 or /56.
  package var prefixPerSecond = 50
  /// Datagrams at once from the unknown sources of one /24 or /56 after a pause.
  package var prefixBurst = 200
  /// Datagrams a second from all unknown sources together.
  package var unknownPerSecond = 500
  /// Datagrams at once from all unknown sources together after a pause.
  package var unknownBurst = 1_000
  /// Bytes that may wait for the event loop to write them; further datagrams are dropped.
  package var pendingByteCount = 1_024 * 1_024

  /// The defaults.
  package init() {}
}
