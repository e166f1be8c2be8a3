/// One open stream. For what the peer sends, this holds at any time:
/// `receiveWindow + credit + unconsumed + (bytes of a frame that are still to come) = size`.
struct YamuxStream: Sendable {
  /// Bytes that may be sent before the next window update of the peer.
  var sendWindow: UInt32
  /// Bytes that the peer may still send by what it was told.
  var receiveWindow: UInt32
  /// What `receiveWindow` returns to when all is consumed and told.
  var size: UInt32
  /// Bytes consumed that the peer was not told of.
  var credit: UInt32 = 0
  /// Bytes handed on and not consumed.
  var unconsumed: UInt32 = 0
  /// What the stream's first frame, always a window update, has to carry: syn, ack, or nothing once it is sent.
  var opening: YamuxFlags
  /// This side sends no more.
  var isFinishedHere = false
  /// The peer sends no more.
  var isFinishedThere = false
  var sentBytes: UInt64 = 0
  var receivedBytes: UInt64 = 0

  init(window: UInt32, opening: YamuxFlags) {
    sendWindow = window
    receiveWindow = window
    size = window
    self.opening = opening
  }

  /// True when a window update must be sent: as the first frame, or as half of the window is to be given back. Less is
  /// not worth a frame, and as the other half is not used up, the peer does not wait.
  var isUpdateDue: Bool {
    if !opening.isEmpty { return true }
    return !isFinishedThere && credit > 0 && credit >= size / 2
  }

  /// Raises the window; a lower one than there is cannot be had, the peer was told.
  mutating func raise(to window: UInt32) {
    guard window > size else { return }
    credit += window - size
    size = window
  }

  /// Gives credit back for bytes that were handed on, never for more than those.
  mutating func consume(_ count: Int) {
    let given = min(UInt32(clamping: count), unconsumed)
    unconsumed -= given
    credit += given
  }

  /// The window update that is due. The window counts from here on: the peer cannot know of it earlier.
  mutating func takeUpdate(_ id: UInt32) -> YamuxHeader {
    let header = YamuxHeader(type: .windowUpdate, flags: opening, stream: id, length: credit)
    receiveWindow += credit
    credit = 0
    opening = []
    return header
  }
}
