/// An open stream as it is shown.
package struct YamuxStreamView: Sendable, Equatable {
  /// The id.
  package var id: UInt32
  /// Bytes sent, without headers.
  package var sentBytes: UInt64
  /// Bytes received, without headers.
  package var receivedBytes: UInt64
  /// Bytes that may be sent before the peer gives more credit.
  package var sendWindow: UInt32
  /// Bytes that the peer may send by what it was told.
  package var receiveWindow: UInt32
  /// Bytes received that were not consumed.
  package var unconsumedBytes: UInt32
  /// This side sends no more.
  package var isFinishedHere: Bool
  /// The peer sends no more.
  package var isFinishedThere: Bool

  init(id: UInt32, _ stream: YamuxStream) {
    self.id = id
    sentBytes = stream.sentBytes
    receivedBytes = stream.receivedBytes
    sendWindow = stream.sendWindow
    receiveWindow = stream.receiveWindow
    unconsumedBytes = stream.unconsumed
    isFinishedHere = stream.isFinishedHere
    isFinishedThere = stream.isFinishedThere
  }
}
