import Primitives

extension YamuxSession {
  /// Takes bytes in as they come, whole frames and parts. Data is handed on as it arrives, never gathered: at most
  /// two events for a header and two for a piece of data, and no more data than there was input.
  ///
  /// - Parameters:
  ///   - bytes: what came, in any pieces.
  ///   - events: what it means is appended here.
  package mutating func receive(_ bytes: UnsafeRawBufferPointer, events: inout [Event]) {
    var rest = bytes[...]
    while violation == nil, !rest.isEmpty {
      if let frame = incoming {
        let count = min(Int(frame.remaining), rest.count)
        takeData(UnsafeRawBufferPointer(rebasing: rest.prefix(count)), of: frame, &events)
        rest = rest.dropFirst(count)
        continue
      }
      do {
        rest = rest.dropFirst(try takeHeader(UnsafeRawBufferPointer(rebasing: rest), &events))
      } catch {
        fail(error, &events)
      }
    }
  }

  /// Takes bytes of a header, and acts when it is complete. Returns how many were taken.
  private mutating func takeHeader(
    _ bytes: UnsafeRawBufferPointer, _ events: inout [Event]
  ) throws(YamuxViolation) -> Int {
    if header.isEmpty, bytes.count >= YamuxHeader.byteCount {
      let whole = UnsafeRawBufferPointer(rebasing: bytes.prefix(YamuxHeader.byteCount))
      try take(try YamuxHeader(whole), &events)
      return YamuxHeader.byteCount
    }
    let count = min(YamuxHeader.byteCount - header.count, bytes.count)
    header.append(contentsOf: bytes.prefix(count))
    guard header.count == YamuxHeader.byteCount else { return count }
    let parsed = header.withUnsafeBytes { whole in
      Result { () throws(YamuxViolation) in try YamuxHeader(whole) }
    }
    header.removeAll(keepingCapacity: true)
    try take(try parsed.get(), &events)
    return count
  }

  private mutating func take(_ header: YamuxHeader, _ events: inout [Event]) throws(YamuxViolation) {
    switch header.type {
    case .data, .windowUpdate:
      try takeStreamFrame(header, &events)
    case .ping:
      if header.flags == .syn { enqueue(header.length, in: \.pongs) } else { events.append(.pong(header.length)) }
    case .goAway:
      isPeerLeaving = true
      events.append(.goAway(header.length))
    }
  }

  private mutating func takeStreamFrame(
    _ header: YamuxHeader, _ events: inout [Event]
  ) throws(YamuxViolation) {
    let id = header.stream
    if header.type == .data, header.length > limits.maximumFrame {
      throw .frameTooLong(id, length: header.length)
    }
    if header.flags.contains(.syn) { try takeOpening(id, &events) }
    guard var stream = open[id] else { return try takeLate(header) }
    // An own stream that was not announced: the peer guesses.
    guard stream.opening != .syn else { throw .unknownStream(id) }
    if header.type == .data {
      stream.receiveWindow = try YamuxSession.window(
        stream.receiveWindow, isEnded: stream.isFinishedThere, less: header)
    } else {
      let (sum, overflow) = stream.sendWindow.addingReportingOverflow(header.length)
      guard !overflow else { throw .windowOverflow(id) }
      stream.sendWindow = sum
    }
    open[id] = stream
    if header.flags.contains(.rst) {
      close(id, stream, isEnded: true)
      events.append(.reset(id))
      expectData(header)
    } else if !expectData(header), header.flags.contains(.fin) {
      finish(id, &events)
    }
  }

  /// The peer opens a stream: it is accepted, or refused by a reset.
  private mutating func takeOpening(_ id: UInt32, _ events: inout [Event]) throws(YamuxViolation) {
    guard !isOwn(id) else { throw .wrongParity(id) }
    guard id > lastOfPeer else { throw .idNotAscending(id) }
    guard hasRoomForStream else { throw .tooManyResets }
    lastOfPeer = id
    guard !isLeaving, open.count - ownCount < limits.maximumStreams else {
      counts.refusedStreams &+= 1
      control.resets.append(id)
      closed.insert(YamuxTombstone(window: limits.initialWindow, isEnded: false), id, isOwn: false)
      return
    }
    open[id] = YamuxStream(window: limits.initialWindow, opening: .ack)
    control.updates.insert(id)
    events.append(.opened(id))
  }

  /// A frame on a stream that is not open.
  private mutating func takeLate(_ header: YamuxHeader) throws(YamuxViolation) {
    let id = header.stream
    guard id <= (isOwn(id) ? lastOwn : lastOfPeer) else { throw .unknownStream(id) }
    let hasData = header.type == .data && header.length > 0
    if var stone = closed[id, isOwn: isOwn(id)] {
      if hasData { stone.window = try YamuxSession.window(stone.window, isEnded: stone.isEnded, less: header) }
      if !header.flags.isDisjoint(with: [.fin, .rst]) { stone.isEnded = true }
      closed.insert(stone, id, isOwn: isOwn(id))
    } else if hasData, !isOwn(id) {
      throw .unknownStream(id)
    }
    // A refused opening is counted as such.
    if !header.flags.contains(.syn) { counts.skippedFrames &+= 1 }
    expectData(header)
  }

  /// What a window has left after a data frame.
  private static func window(
    _ window: UInt32, isEnded: Bool, less header: YamuxHeader
  ) throws(YamuxViolation) -> UInt32 {
    guard header.length > 0 else { return window }
    guard !isEnded else { throw .dataAfterEnd(header.stream) }
    guard header.length <= window else {
      throw .windowExceeded(header.stream, length: header.length, window: window)
    }
    return window - header.length
  }

  /// Notes the data that follows a header. False when none does.
  @discardableResult private mutating func expectData(_ header: YamuxHeader) -> Bool {
    guard header.type == .data, header.length > 0 else { return false }
    incoming = Incoming(
      stream: header.stream, remaining: header.length, isLast: header.flags.contains(.fin))
    return true
  }

  /// Takes the next bytes of a data frame: handed on, or skipped when the stream is closed.
  private mutating func takeData(_ bytes: UnsafeRawBufferPointer, of frame: Incoming, _ events: inout [Event]) {
    let count = UInt32(bytes.count)
    let wasOpen = open.modify(frame.stream) { stream in
      stream.unconsumed += count
      stream.receivedBytes &+= UInt64(count)
      return true
    }
    if wasOpen == nil {
      counts.skippedBytes &+= UInt64(count)
    } else {
      events.append(.data(frame.stream, Array(bytes)))
    }
    let remaining = frame.remaining - count
    incoming = remaining == 0 ? nil : Incoming(stream: frame.stream, remaining: remaining, isLast: frame.isLast)
    if remaining == 0, frame.isLast { finish(frame.stream, &events) }
  }

  /// The peer sends no more on a stream.
  private mutating func finish(_ id: UInt32, _ events: inout [Event]) {
    guard var stream = open[id] else {
      // It was closed here while the peer's last frame was on its way.
      if var stone = closed[id, isOwn: isOwn(id)] {
        stone.isEnded = true
        closed.insert(stone, id, isOwn: isOwn(id))
      }
      return
    }
    guard !stream.isFinishedThere else { return }
    stream.isFinishedThere = true
    open[id] = stream
    events.append(.finished(id))
    // Nothing is granted to one who sends no more; the answer that accepts the stream is sent all the same.
    if !stream.isUpdateDue { control.updates.remove(id) }
    if stream.isFinishedHere { close(id, stream, isEnded: true) }
  }

  private mutating func fail(_ violation: YamuxViolation, _ events: inout [Event]) {
    self.violation = violation
    events.append(.violation(violation))
    open = Table()
    ownCount = 0
    closed = YamuxTombstones(capacity: limits.tombstones)
    incoming = nil
    control = YamuxControl()
    control.goAway = YamuxSession.protocolErrorCode
    isLeaving = true
  }
}
