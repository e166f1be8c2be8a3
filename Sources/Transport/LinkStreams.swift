import LinkProtocol

/// The channels of one link as streams of a Yamux session: plaintext in, frames out, and what is due to be said. No
/// socket, no clock, no cipher; what it holds is bounded by the windows of its streams.
struct LinkStreams {
  /// What the other side did.
  enum Event: Equatable {
    /// It sent a frame, whose bytes are owed to it until `consumed`.
    case frame(LinkChannel, [UInt8])
    /// It answered a ping, or pretends to.
    case pong(UInt32)
    /// It opened a stream that is no channel; that is refused.
    case refusedStream
    /// It closes the link.
    case closed(LinkNotice)
    /// It broke the protocol; the name is that of the counter. No event follows.
    case violation(String)
  }

  private struct Lane {
    let window: UInt32
    /// True once its stream is open here.
    var isOpen = false
    var assembler: FrameAssembler
  }

  private var session: YamuxSession
  private var lanes: [Lane]
  private var isBroken = false

  /// The streams of a link whose handshake is done. The client's are due to be opened.
  init(role: YamuxSession.Role, configuration: LinkConfiguration) {
    session = YamuxSession(role: role)
    lanes = configuration.windows.map {
      Lane(
        window: $0,
        assembler: FrameAssembler(
          maximumFrameByteCount: LinkConfiguration.maximumFrameByteCount,
          maximumWaitingFrames: configuration.maximumWaitingFrames))
    }
    guard role == .client else { return }
    for channel in LinkChannel.allCases {
      lanes[channel.index].isOpen = session.open(window: lanes[channel.index].window) == channel.streamID
    }
  }

  /// Bytes of a channel that came and are in no frame that was handed on: while there are any, the other side may be waiting
  /// for credit.
  func heldByteCount(_ channel: LinkChannel) -> Int { lanes[channel.index].assembler.heldByteCount }

  /// What is known about a channel's stream, but for what waits to be sent on it.
  func info(_ channel: LinkChannel) -> StreamInfo {
    let stream = session.stream(channel.streamID)
    return StreamInfo(
      id: channel.streamID, channel: channel, sentBytes: stream?.sentBytes ?? 0,
      receivedBytes: stream?.receivedBytes ?? 0, queuedBytes: 0, sendWindowBytes: window(channel),
      unconsumedBytes: Int(stream?.unconsumedBytes ?? 0))
  }

  // MARK: Receiving

  /// Takes plaintext in.
  mutating func receive(_ plaintext: UnsafeRawBufferPointer, events: inout [Event]) {
    var happened: [YamuxSession.Event] = []
    session.receive(plaintext, events: &happened)
    for event in happened where !isBroken { take(event, &events) }
  }

  private mutating func take(_ event: YamuxSession.Event, _ events: inout [Event]) {
    switch event {
    case .opened(let id):
      // Only the client's can have the id of a channel: the session sees to that.
      guard let channel = LinkChannel(streamID: id) else {
        session.reset(id)
        return events.append(.refusedStream)
      }
      guard lanes[..<channel.index].allSatisfy(\.isOpen) else { return fail("streamOrder", &events) }
      lanes[channel.index].isOpen = true
      session.raiseWindow(id, to: lanes[channel.index].window)
    case .data(let id, let bytes):
      // What came along with the opening of a stream that was refused belongs nowhere.
      guard let channel = LinkChannel(streamID: id) else { return }
      cut(channel, &events) { assembler, frames throws(FrameAssembler.Refusal) in
        try assembler.add(bytes, frames: &frames)
      }
    case .finished(let id), .reset(let id):
      if LinkChannel(streamID: id) != nil { fail("streamEnded", &events) }
    case .pong(let value): events.append(.pong(value))
    case .goAway(let code): events.append(.closed(LinkNotice(rawValue: code) ?? .normal))
    case .violation(let violation): fail("yamux." + violation.code, &events)
    }
  }

  /// Frames that were handed on were dealt with. Others that were kept back until now may follow.
  mutating func consumed(_ channel: LinkChannel, frames count: Int, byteCount: Int, events: inout [Event]) {
    guard !isBroken else { return }
    cut(channel, &events) { assembler, frames throws(FrameAssembler.Refusal) in
      try assembler.consumed(count, byteCount: byteCount, frames: &frames)
    }
  }

  /// Hands on the frames that `body` makes, and gives back the credit that it returns.
  private mutating func cut(
    _ channel: LinkChannel, _ events: inout [Event],
    _ body: (inout FrameAssembler, inout [[UInt8]]) throws(FrameAssembler.Refusal) -> Int
  ) {
    var frames: [[UInt8]] = []
    do throws(FrameAssembler.Refusal) {
      let credit = try body(&lanes[channel.index].assembler, &frames)
      session.consumed(channel.streamID, credit)
      for frame in frames { events.append(.frame(channel, frame)) }
    } catch {
      // The frames before the bad one are as good as any.
      for frame in frames { events.append(.frame(channel, frame)) }
      fail("oversizedFrame", &events)
    }
  }

  private mutating func fail(_ name: String, _ events: inout [Event]) {
    isBroken = true
    events.append(.violation(name))
  }

  // MARK: Sending

  /// Bytes that may be sent on a channel now.
  func window(_ channel: LinkChannel) -> Int { session.sendWindow(channel.streamID) }

  /// The header of the next `byteCount` bytes of a channel; nil when there is no room for them in its window.
  mutating func dataHeader(_ channel: LinkChannel, byteCount: Int) -> [UInt8]? {
    session.dataHeader(channel.streamID, count: byteCount, isLast: false)
  }

  /// What is due besides data, to be sent before it.
  mutating func takeControl() -> [UInt8] {
    session.takeControl(maximumByteCount: LinkFormat.maximumDataByteCount)
  }

  /// Asks for a sign of life.
  mutating func ping(_ value: UInt32) { session.ping(value) }

  /// Says that this side closes the link.
  mutating func close(_ notice: LinkNotice) { session.goAway(notice.rawValue) }
}
