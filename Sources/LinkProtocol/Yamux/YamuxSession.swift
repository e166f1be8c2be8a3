import Primitives

// Yamux as github.com/hashicorp/yamux/blob/master/spec.md has it, and where it leaves a choice, these rules:
// 1. A stream's first frame is always a window update, with SYN or ACK, that also raises the window when it was asked for;
//    nothing can be sent on the stream before it. So ids ascend on the wire whatever the order of the senders.
// 2. A window counts as raised when its update is taken for sending: before, the peer cannot know of it.
// 3. A window update is due when half of the window is to be given back, and one update gives all of it.
// 4. A stream of the peer above the limit, or after this side's go-away, is refused by a reset and counted.
// 5. On a stream that is closed here the peer may go on until it learns of that: what it sends is skipped and counted,
//    as far as the window reached that it had. Of a stream that is closed for so long that it is forgotten, all but
//    data is skipped; data is too when this side opened the stream, as only this side's haste can have caused it.
// 6. FIN or RST is the last word of the one who sends it: data after it is a violation.
// 7. After a violation the session is dead: it takes nothing in, and a go-away with code 1 is the last that comes out.

/// Many streams with flow control over one connection. Bytes in, events and bytes out: no socket, no clock. All that
/// it holds is bounded by its limits; it never holds data.
package struct YamuxSession: Sendable {
  /// Which side of the connection this is.
  package enum Role: Sendable, Equatable {
    /// It dialled; its streams have odd ids.
    case client
    /// It was dialled; its streams have even ids.
    case server
  }

  /// What the peer did.
  package enum Event: Sendable, Equatable {
    /// It opened a stream; the answer that accepts it is due. `reset` refuses it.
    case opened(UInt32)
    /// It sent bytes on a stream, at least one. They are owed to it until `consumed`.
    case data(UInt32, [UInt8])
    /// It sends no more on a stream.
    case finished(UInt32)
    /// It ended a stream, or refused it. Nothing can be sent on it any more.
    case reset(UInt32)
    /// It answered a ping, or pretends to.
    case pong(UInt32)
    /// It opens and accepts no more streams, with its code.
    case goAway(UInt32)
    /// It broke the rules; the last event.
    case violation(YamuxViolation)
  }

  /// What was refused, skipped and dropped so far.
  package struct Counts: Sendable, Equatable {
    /// Streams of the peer that were refused.
    package var refusedStreams: UInt64 = 0
    /// Frames on closed streams.
    package var skippedFrames: UInt64 = 0
    /// Bytes of data on closed streams.
    package var skippedBytes: UInt64 = 0
    /// Pings and answers to pings that were dropped for newer ones.
    package var droppedPings: UInt64 = 0
  }

  /// The code of a go-away after the peer broke the protocol (Yamux specification, "Session termination").
  static let protocolErrorCode: UInt32 = 1

  /// A data frame that is not complete.
  struct Incoming: Sendable {
    var stream: UInt32
    var remaining: UInt32
    var isLast: Bool
  }

  let role: Role
  let limits: YamuxLimits
  var open = Table<UInt32, YamuxStream>()
  var closed: YamuxTombstones
  var control = YamuxControl()
  /// The first bytes of a header that is not complete.
  var header: [UInt8] = []
  var incoming: Incoming?
  /// The highest id that each side used, 0 before the first.
  var lastOwn: UInt32 = 0
  var lastOfPeer: UInt32 = 0
  var ownCount = 0
  /// A go-away was sent, or is due.
  var isLeaving = false
  /// The peer sent a go-away.
  var isPeerLeaving = false

  /// What was refused, skipped and dropped.
  package internal(set) var counts = Counts()
  /// What the peer did wrong, if it did.
  package internal(set) var violation: YamuxViolation?

  /// A session at the start of a connection.
  package init(role: Role, limits: YamuxLimits = YamuxLimits()) {
    self.role = role
    self.limits = limits
    closed = YamuxTombstones(capacity: limits.tombstones)
  }

  /// The open streams in the order of their ids: at most twice `maximumStreams`.
  package var streams: [YamuxStreamView] { open.map { YamuxStreamView(id: $0, $1) } }

  /// An open stream; nil for any other id.
  package func stream(_ id: UInt32) -> YamuxStreamView? { open[id].map { YamuxStreamView(id: id, $0) } }

  /// Opens a stream.
  ///
  /// - Parameter window: bytes that the peer may send on it ahead of what is consumed; never less than the initial window.
  /// - Returns: its id; nil when there are `maximumStreams` already, all ids are used, too many resets are due, or either
  ///   side said go-away.
  package mutating func open(window: UInt32) -> UInt32? {
    guard violation == nil, !isLeaving, !isPeerLeaving, ownCount < limits.maximumStreams, hasRoomForStream else {
      return nil
    }
    let id: UInt32
    if lastOwn == 0 {
      id = role == .client ? 1 : 2
    } else {
      let (next, overflow) = lastOwn.addingReportingOverflow(2)
      guard !overflow else { return nil }
      id = next
    }
    lastOwn = id
    ownCount += 1
    var stream = YamuxStream(window: limits.initialWindow, opening: .syn)
    stream.raise(to: window)
    open[id] = stream
    control.updates.insert(id)
    return id
  }

  /// Raises the window of a stream, such as of one that the peer has just opened: then the answer that accepts it
  /// carries the raise. Later it is told with the next update. A window is never lowered.
  package mutating func raiseWindow(_ stream: UInt32, to window: UInt32) {
    change(stream) { $0.raise(to: window) }
  }

  /// Bytes that may be sent on a stream now. 0 for an unknown or finished one, and before its first control frame was
  /// taken: so take control first, then ask.
  package func sendWindow(_ stream: UInt32) -> Int {
    guard let state = open[stream], state.opening.isEmpty, !state.isFinishedHere else { return 0 }
    return Int(state.sendWindow)
  }

  /// The header of a data frame, after which the caller sends exactly `count` bytes. Spares a copy of the data.
  ///
  /// - Parameters:
  ///   - count: 0 to `sendWindow`. The peer may refuse frames longer than its limit; 1 MiB is ours.
  ///   - isLast: nothing more is sent on the stream. Toward another implementation, send an empty last frame: the one of
  ///     HashiCorp tells its reader of the end before it has the data of the same frame.
  /// - Returns: nil when the stream cannot send that now.
  package mutating func dataHeader(_ stream: UInt32, count: Int, isLast: Bool) -> [UInt8]? {
    guard var state = open[stream], state.opening.isEmpty, !state.isFinishedHere,
      let length = UInt32(exactly: count), length <= state.sendWindow
    else { return nil }
    state.sendWindow -= length
    state.sentBytes &+= UInt64(length)
    state.isFinishedHere = isLast
    open[stream] = state
    if isLast && state.isFinishedThere { close(stream, state, isEnded: true) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(YamuxHeader.byteCount)
    YamuxHeader(type: .data, flags: isLast ? .fin : [], stream: stream, length: length).append(to: &bytes)
    return bytes
  }

  /// Gives credit back for bytes that came as `data`; more than those, or an unknown stream, has no effect.
  package mutating func consumed(_ stream: UInt32, _ count: Int) {
    change(stream) { $0.consume(count) }
  }

  /// Ends a stream at once, both ways; no event of it follows. No effect on an unknown one.
  package mutating func reset(_ stream: UInt32) {
    guard let state = open[stream] else { return }
    close(stream, state, isEnded: state.isFinishedThere)
    // Of a stream that was not announced yet the peer need not hear.
    if state.opening != .syn { control.resets.append(stream) }
  }

  /// Asks the peer for a sign of life; the answer is `pong` with the same value.
  package mutating func ping(_ value: UInt32) {
    guard violation == nil else { return }
    enqueue(value, in: \.pings)
  }

  /// Says that no more streams are opened or accepted, and why. Open streams go on.
  package mutating func goAway(_ code: UInt32) {
    guard violation == nil else { return }
    isLeaving = true
    control.goAway = code
  }

  /// Room for one more stream, should it have to be reset.
  var hasRoomForStream: Bool { control.resets.count + open.count < limits.maximumPendingControl }

  /// Adds to the pings or the pongs; the oldest goes when there is no room.
  mutating func enqueue(_ value: UInt32, in list: WritableKeyPath<YamuxControl, [UInt32]>) {
    if control[keyPath: list].count >= limits.maximumPendingPings {
      counts.droppedPings &+= 1
      guard !control[keyPath: list].isEmpty else { return }
      control[keyPath: list].removeFirst()
    }
    control[keyPath: list].append(value)
  }

  /// Changes a stream, and notes when an update is due then.
  private mutating func change(_ stream: UInt32, _ body: (inout YamuxStream) -> Void) {
    let isDue = open.modify(stream) { state in
      body(&state)
      return state.isUpdateDue
    }
    if isDue == true { control.updates.insert(stream) }
  }

  /// Forgets a stream but for what may come late on it.
  mutating func close(_ id: UInt32, _ stream: YamuxStream, isEnded: Bool) {
    open.removeValue(forKey: id)
    control.updates.remove(id)
    if isOwn(id) { ownCount -= 1 }
    closed.insert(YamuxTombstone(window: stream.receiveWindow, isEnded: isEnded), id, isOwn: isOwn(id))
  }

  /// True for ids that this side chooses.
  func isOwn(_ id: UInt32) -> Bool { (id & 1 == 1) == (role == .client) }
}
