import Primitives

extension YamuxSession {
  /// True when `takeControl` has something to give.
  package var hasControl: Bool { !control.isEmpty }

  /// The control frames that are due, to be sent before any data: answers to pings, resets, window updates (which open
  /// and accept streams), pings, go-away.
  ///
  /// - Parameter maximumByteCount: no more than this; what does not fit stays due. Less than a header's 12 gives nothing.
  /// - Returns: whole frames, at most `YamuxLimits.maximumControlByteCount` bytes.
  package mutating func takeControl(maximumByteCount: Int = .max) -> [UInt8] {
    guard hasControl else { return [] }
    var bytes: [UInt8] = []
    var room = maximumByteCount / YamuxHeader.byteCount
    take(&control.pongs, room: &room) { YamuxHeader(type: .ping, flags: .ack, length: $0).append(to: &bytes) }
    take(&control.resets, room: &room) {
      YamuxHeader(type: .windowUpdate, flags: .rst, stream: $0, length: 0).append(to: &bytes)
    }
    while room > 0, let id = control.updates.first {
      control.updates.remove(id)
      if let update = open.modify(id, { $0.takeUpdate(id) }) {
        update.append(to: &bytes)
        room -= 1
      }
    }
    take(&control.pings, room: &room) { YamuxHeader(type: .ping, flags: .syn, length: $0).append(to: &bytes) }
    if room > 0, let code = control.goAway {
      YamuxHeader(type: .goAway, length: code).append(to: &bytes)
      control.goAway = nil
    }
    return bytes
  }
}

/// Takes the oldest of `values`, as many as there is room for.
private func take(_ values: inout [UInt32], room: inout Int, _ body: (UInt32) -> Void) {
  let count = min(values.count, room)
  guard count > 0 else { return }
  values.prefix(count).forEach(body)
  values.removeFirst(count)
  room -= count
}
