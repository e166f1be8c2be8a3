import Testing

@testable import LinkProtocol

/// What comes on streams that are closed here.
@Suite struct YamuxLateFrameTests {
  private let limits = YamuxLimits(maximumStreams: 4, initialWindow: 100, tombstones: 3)

  private func open(_ session: inout YamuxSession, _ ids: [UInt32]) {
    for id in ids { #expect(session.events(raw(1, syn, id, 0)) == [.opened(id)]) }
    _ = session.takeControl()
  }

  @Test func lateDataIsSkippedAsFarAsTheWindowReached() {
    var session = YamuxSession(role: .server, limits: limits)
    open(&session, [1])
    _ = session.events(rawData(1, [1, 2, 3]))
    session.reset(1)
    #expect(session.events(rawData(1, [UInt8](repeating: 0, count: 90))) == [])
    #expect(session.counts.skippedBytes == 90)
    #expect(session.events(raw(1, ack, 1, .max) + raw(1, 0, 1, .max)) == [])
    #expect(session.events(raw(0, 0, 1, 0)) == [])
    #expect(session.counts.skippedFrames == 4)
    #expect(session.events(raw(0, 0, 1, 8)) == [.violation(.windowExceeded(1, length: 8, window: 7))])
  }

  @Test func lateDataOfARefusedStreamHasTheInitialWindow() {
    var session = YamuxSession(role: .server, limits: limits)
    open(&session, [1, 3, 5, 7])
    #expect(session.events(rawData(9, [UInt8](repeating: 0, count: 60), flags: syn)) == [])
    #expect(session.events(rawData(9, [UInt8](repeating: 0, count: 40))) == [])
    #expect(session.events(raw(0, 0, 9, 1)) == [.violation(.windowExceeded(9, length: 1, window: 0))])
    // A refused one that was finished with its first frame stays so.
    var other = YamuxSession(role: .server, limits: limits)
    open(&other, [1, 3, 5, 7])
    #expect(other.events(rawData(9, [1], flags: syn | fin)) == [])
    #expect(other.events(raw(0, 0, 9, 1)) == [.violation(.dataAfterEnd(9))])
  }

  @Test func onlyTheLastClosedAreRemembered() {
    var session = YamuxSession(role: .server, limits: limits)
    for id in [1, 3, 5, 7] as [UInt32] {
      open(&session, [id])
      session.reset(id)
    }
    _ = session.takeControl()
    #expect(session.closed.count == 3)
    // The first is forgotten: control frames pass, data does not.
    #expect(session.events(raw(1, 0, 1, 5) + raw(1, fin, 1, 0) + raw(1, rst, 1, 0) + raw(0, 0, 1, 0)) == [])
    #expect(session.events(rawData(3, [1])) == [])
    #expect(session.events(raw(0, 0, 1, 1)) == [.violation(.unknownStream(1))])
  }

  @Test func ownStreamsThatAreForgottenAreSkippedForEver() {
    var session = YamuxSession(role: .client, limits: limits)
    for _ in 0..<4 {
      if let id = session.open(window: 0) {
        _ = session.takeControl()
        session.reset(id)
      }
    }
    #expect(session.closed.count == 3)
    #expect(session.events(raw(1, ack, 1, 0) + rawData(1, [UInt8](repeating: 0, count: 1_000))) == [])
    #expect(session.counts.skippedBytes == 1_000)
    // A remembered one has its window.
    #expect(session.events(raw(0, 0, 7, 101)) == [.violation(.windowExceeded(7, length: 101, window: 100))])
  }

  @Test func ownClosingsDoNotMakeThePeersForgotten() {
    var session = YamuxSession(role: .client, limits: limits)
    open(&session, [2])
    session.reset(2)
    for _ in 0..<10 {
      if let id = session.open(window: 0) {
        _ = session.takeControl()
        session.reset(id)
      }
    }
    #expect(session.events(rawData(2, [1])) == [])
    #expect(session.counts.skippedBytes == 1)
  }

  @Test func theLastFrameIsTheLastThoughTheStreamWasResetWithinIt() {
    var session = YamuxSession(role: .server, limits: limits)
    #expect(session.events(raw(0, syn | fin, 1, 4) + [1, 2]) == [.opened(1), .data(1, [1, 2])])
    session.reset(1)
    #expect(session.events([3, 4] + raw(0, 0, 1, 0)) == [])
    #expect(session.events(raw(0, 0, 1, 1)) == [.violation(.dataAfterEnd(1))])
  }

  @Test func creditOfAClosedStreamGoesNowhere() {
    var session = YamuxSession(role: .server, limits: limits)
    _ = session.events(rawData(1, [UInt8](repeating: 0, count: 100), flags: syn))
    session.reset(1)
    session.consumed(1, 100)
    #expect(session.controlFrames() == [SeenFrame(1, rst, 1, 0)])
  }
}
