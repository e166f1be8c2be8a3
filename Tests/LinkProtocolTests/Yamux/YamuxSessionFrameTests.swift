import Testing

@testable import LinkProtocol

/// Pings, go-away, and the bounds of what is due.
@Suite struct YamuxSessionFrameTests {
  @Test func aPingIsAnsweredWithItsValue() {
    var session = YamuxSession(role: .server)
    #expect(session.events(raw(2, syn, 0, 0xdead_beef)) == [])
    #expect(session.takeControl() == raw(2, ack, 0, 0xdead_beef))
    session.ping(77)
    #expect(session.takeControl() == raw(2, syn, 0, 77))
    #expect(session.events(raw(2, ack, 0, 77)) == [.pong(77)])
  }

  @Test func onlyTheNewestPingsAreKept() {
    var session = YamuxSession(role: .server, limits: YamuxLimits(maximumPendingPings: 2))
    _ = session.events((1...5).flatMap { raw(2, syn, 0, $0) })
    for value in 6...9 as ClosedRange<UInt32> { session.ping(value) }
    #expect(
      session.controlFrames() == [
        SeenFrame(2, ack, 0, 4), SeenFrame(2, ack, 0, 5), SeenFrame(2, syn, 0, 8), SeenFrame(2, syn, 0, 9),
      ])
    #expect(session.counts.droppedPings == 5)
    var mute = YamuxSession(role: .server, limits: YamuxLimits(maximumPendingPings: 0))
    _ = mute.events(raw(2, syn, 0, 1))
    #expect(!mute.hasControl)
  }

  @Test func afterTheirGoAwayNothingIsOpened() {
    var session = YamuxSession(role: .client)
    #expect(session.open(window: 0) == 1)
    _ = session.takeControl()
    #expect(session.events(raw(3, 0, 0, 16)) == [.goAway(16)])
    #expect(session.open(window: 0) == nil)
    // What is open goes on.
    #expect(session.dataHeader(1, count: 1, isLast: false) != nil)
    #expect(session.events(rawData(1, [1])) == [.data(1, [1])])
  }

  @Test func afterOurGoAwayNothingIsAccepted() {
    var session = YamuxSession(role: .server)
    _ = session.events(raw(1, syn, 1, 0))
    session.goAway(0)
    session.goAway(17)
    #expect(session.open(window: 0) == nil)
    #expect(session.events(raw(1, syn, 3, 0)) == [])
    #expect(
      session.controlFrames() == [SeenFrame(1, rst, 3, 0), SeenFrame(1, ack, 1, 0), SeenFrame(3, 0, 0, 17)])
    #expect(session.counts.refusedStreams == 1)
    #expect(session.events(rawData(1, [1])) == [.data(1, [1])])
  }

  @Test func controlIsGivenInWholeFramesOfAnyRoom() {
    var session = YamuxSession(role: .server)
    let input = raw(2, syn, 0, 1) + raw(1, syn, 1, 0) + raw(1, syn, 3, 0) + raw(1, syn, 5, 0)
    _ = session.events(input)
    session.reset(3)
    session.ping(2)
    session.goAway(0)
    var other = session
    let whole = other.controlFrames()
    #expect(
      whole == [
        SeenFrame(2, ack, 0, 1), SeenFrame(1, rst, 3, 0), SeenFrame(1, ack, 1, 0), SeenFrame(1, ack, 5, 0),
        SeenFrame(2, syn, 0, 2), SeenFrame(3, 0, 0, 0),
      ])
    #expect(session.takeControl(maximumByteCount: 11) == [])
    #expect(session.takeControl(maximumByteCount: -5) == [])
    var pieces: [SeenFrame] = []
    while session.hasControl {
      let piece = frames(session.takeControl(maximumByteCount: 12))
      #expect(piece.count == 1)
      pieces += piece
    }
    #expect(pieces == whole)
  }

  @Test func whatIsDueIsBounded() {
    let limits = YamuxLimits(
      maximumStreams: 8, initialWindow: 4, maximumPendingControl: 20, maximumPendingPings: 3, tombstones: 4)
    var session = YamuxSession(role: .server, limits: limits)
    var id: UInt32 = 1
    while session.violation == nil, id < 1_000 {
      _ = session.open(window: 4)
      _ = session.events(raw(2, syn, 0, id) + rawData(id, [1, 2, 3, 4], flags: syn))
      session.ping(id)
      session.goAway(0)
      session.isLeaving = false
      session.consumed(id, 4)
      var copy = session
      let due = copy.takeControl().count
      #expect(due <= limits.maximumControlByteCount)
      #expect(session.closed.count <= 8)
      #expect(session.streams.count <= 16)
      id += 2
    }
    #expect(session.violation == .tooManyResets)
  }

  @Test func ownResetsNeverPassTheBound() {
    let limits = YamuxLimits(maximumStreams: 8, maximumPendingControl: 20)
    var session = YamuxSession(role: .client, limits: limits)
    for _ in 0..<100 {
      // Announced, then reset while the peer does not take the resets.
      guard let id = session.open(window: 0) else { break }
      while session.sendWindow(id) == 0 {
        let before = session.control
        session.control.resets = []
        _ = session.takeControl()
        session.control.resets = before.resets
      }
      session.reset(id)
    }
    #expect(session.control.resets.count == 20)
    #expect(session.open(window: 0) == nil)
    _ = session.takeControl()
    #expect(session.open(window: 0) != nil)
  }
}
