import LinkProtocol

/// The limits of a datagram endpoint.
package struct DatagramConfiguration: Sendable {
  /// How much of what arrives is let through.
  package var limits = DatagramLimits()
  /// Bytes that may wait for the event loop to write them; further datagrams are dropped.
  package var pendingByteCount = 1_024 * 1_024
  /// Bytes that the kernel may hold for each socket until they are read: a burst waits there while the loop is busy. A
  /// kernel that gives less (`net.core.rmem_max`, which root may exceed) loses more of a burst.
  package var receiveBufferByteCount = 4 * 1_024 * 1_024

  /// The defaults.
  package init() {}
}
