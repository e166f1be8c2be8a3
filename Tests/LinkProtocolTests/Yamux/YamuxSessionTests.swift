import Testing

@testable import LinkProtocol

@Suite struct YamuxSessionTests {
  @Test func aHeaderHasTheBytesOfTheSpecification() throws {
    var bytes: [UInt8] = []
    YamuxHeader(type: .windowUpdate, flags: [.syn, .rst], stream: 0x0102_0304, length: 0xa0b0_c0d0).append(to: &bytes)
    #expect(bytes == [0, 1, 0, 9, 1, 2, 3, 4, 0xa0, 0xb0, 0xc0, 0xd0])
    let again = try bytes.withUnsafeBytes { try YamuxHeader($0) }
    #expect(again == YamuxHeader(type: .windowUpdate, flags: [.syn, .rst], stream: 0x0102_0304, length: 0xa0b0_c0d0))
  }

  @Test func aClientsStreamsAreOddAndAServersEven() {
    var client = YamuxSession(role: .client)
    var server = YamuxSession(role: .server)
    #expect((0..<3).map { _ in client.open(window: 0) } == [1, 3, 5])
    #expect((0..<3).map { _ in server.open(window: 0) } == [2, 4, 6])
  }

  @Test func openingSendsSynThatRaisesTheWindow() {
    var session = YamuxSession(role: .client)
    let id = session.open(window: 16_777_216)
    #expect(id == 1)
    #expect(session.hasControl)
    #expect(session.takeControl() == raw(1, syn, 1, 16_777_216 - 262_144))
    #expect(!session.hasControl)
    #expect(session.takeControl() == [])
    #expect(session.stream(1)?.receiveWindow == 16_777_216)
  }

  @Test func aWindowBelowTheInitialOneIsTheInitialOne() {
    var session = YamuxSession(role: .client)
    _ = session.open(window: 1)
    #expect(session.controlFrames() == [SeenFrame(1, syn, 1, 0)])
    #expect(session.stream(1)?.receiveWindow == 262_144)
  }

  @Test func nothingIsSentOnAStreamBeforeItsFirstControlFrame() {
    var session = YamuxSession(role: .client)
    _ = session.open(window: 0)
    _ = session.open(window: 0)
    #expect(session.sendWindow(3) == 0)
    #expect(session.dataHeader(3, count: 0, isLast: true) == nil)
    // Room for one: ids go out ascending.
    #expect(frames(session.takeControl(maximumByteCount: 23)) == [SeenFrame(1, syn, 1, 0)])
    #expect(session.sendWindow(1) == 262_144)
    #expect(session.sendWindow(3) == 0)
    #expect(session.controlFrames() == [SeenFrame(1, syn, 3, 0)])
    #expect(session.dataHeader(3, count: 5, isLast: false) == raw(0, 0, 3, 5))
    #expect(session.sendWindow(3) == 262_139)
  }

  @Test func anOpenedStreamIsAcceptedWithItsWindow() {
    var session = YamuxSession(role: .server)
    #expect(session.events(raw(1, syn, 1, 1_000)) == [.opened(1)])
    #expect(session.sendWindow(1) == 0)
    session.raiseWindow(1, to: 4_194_304)
    #expect(session.takeControl() == raw(1, ack, 1, 4_194_304 - 262_144))
    // The delta of the SYN counts.
    #expect(session.sendWindow(1) == 263_144)
  }

  @Test func aStreamMayBeOpenedByDataAndFinishedAtOnce() {
    var session = YamuxSession(role: .server)
    #expect(session.events(rawData(1, [7, 8], flags: syn | fin)) == [.opened(1), .data(1, [7, 8]), .finished(1)])
    #expect(session.controlFrames() == [SeenFrame(1, ack, 1, 0)])
    #expect(session.dataHeader(1, count: 1, isLast: true) == raw(0, fin, 1, 1))
    #expect(session.streams.isEmpty)
    #expect(session.events(raw(1, syn | fin, 3, 0)) == [.opened(3), .finished(3)])
    #expect(session.events(rawData(5, [], flags: syn)) == [.opened(5)])
    #expect(session.events(raw(1, syn | rst, 7, 0)) == [.opened(7), .reset(7)])
    #expect(session.controlFrames() == [SeenFrame(1, ack, 3, 0), SeenFrame(1, ack, 5, 0)])
  }

  @Test func dataMayFollowTheSynWithoutWaitingForTheAnswer() {
    var session = YamuxSession(role: .client)
    _ = session.open(window: 0)
    _ = session.takeControl()
    #expect(session.dataHeader(1, count: 262_144, isLast: false) == raw(0, 0, 1, 262_144))
    #expect(session.dataHeader(1, count: 1, isLast: false) == nil)
    #expect(session.events(raw(1, ack, 1, 10)) == [])
    #expect(session.sendWindow(1) == 10)
    #expect(session.dataHeader(1, count: 11, isLast: false) == nil)
    #expect(session.dataHeader(1, count: -1, isLast: false) == nil)
    #expect(session.dataHeader(1, count: .max, isLast: false) == nil)
    #expect(session.dataHeader(9, count: 0, isLast: false) == nil)
    #expect(session.stream(1)?.sentBytes == 262_144)
    // Also with the answer on data.
    #expect(session.events(rawData(1, [1], flags: ack)) == [.data(1, [1])])
  }

  @Test func dataIsHandedOnAsItArrives() {
    var session = YamuxSession(role: .server)
    #expect(session.events(raw(0, syn | fin, 1, 3)) == [.opened(1)])
    #expect(session.events([1]) == [.data(1, [1])])
    #expect(session.events([2, 3]) == [.data(1, [2, 3]), .finished(1)])
    #expect(session.stream(1)?.receivedBytes == 3)
    #expect(session.stream(1)?.unconsumedBytes == 3)
    #expect(session.stream(1)?.receiveWindow == 262_141)
  }

  @Test func aWindowUpdateIsDueAtHalfTheWindowAndGivesAll() {
    var session = YamuxSession(role: .server, limits: YamuxLimits(initialWindow: 100))
    _ = session.events(rawData(1, [UInt8](repeating: 0, count: 100), flags: syn))
    #expect(session.controlFrames() == [SeenFrame(1, ack, 1, 0)])
    session.consumed(1, 49)
    #expect(!session.hasControl)
    session.consumed(1, 1)
    session.consumed(1, 20)
    // Coalesced: one update for all three.
    #expect(session.controlFrames() == [SeenFrame(1, 0, 1, 70)])
    #expect(session.stream(1)?.receiveWindow == 70)
    // Never more than what came.
    session.consumed(1, .max)
    session.consumed(1, 1)
    #expect(session.stream(1)?.unconsumedBytes == 0)
    #expect(session.controlFrames() == [])
    _ = session.events(rawData(1, [UInt8](repeating: 0, count: 70)))
    session.consumed(1, 20)
    #expect(session.controlFrames() == [SeenFrame(1, 0, 1, 50)])
    session.consumed(2, 10)
    session.consumed(1, -1)
    #expect(!session.hasControl)
  }

  @Test func theAnswerCarriesTheCreditThatIsThere() {
    var session = YamuxSession(role: .server, limits: YamuxLimits(initialWindow: 100))
    _ = session.events(rawData(1, [1, 2, 3], flags: syn))
    session.consumed(1, 3)
    #expect(session.controlFrames() == [SeenFrame(1, ack, 1, 3)])
  }

  @Test func aRaisedWindowIsToldAndNeverLowered() {
    var session = YamuxSession(role: .server, limits: YamuxLimits(initialWindow: 100))
    _ = session.events(raw(1, syn, 1, 0))
    _ = session.takeControl()
    session.raiseWindow(1, to: 50)
    #expect(!session.hasControl)
    session.raiseWindow(1, to: 1_000)
    // Until it is taken, the peer cannot use it.
    #expect(session.stream(1)?.receiveWindow == 100)
    #expect(session.controlFrames() == [SeenFrame(1, 0, 1, 900)])
    #expect(session.stream(1)?.receiveWindow == 1_000)
    session.raiseWindow(1, to: .max)
    #expect(session.controlFrames() == [SeenFrame(1, 0, 1, .max - 1_000)])
    session.raiseWindow(77, to: 1_000)
    #expect(!session.hasControl)
  }

  @Test func aStreamIsHalfClosedUntilBothAreDone() {
    var session = YamuxSession(role: .client)
    _ = session.open(window: 0)
    _ = session.takeControl()
    #expect(session.dataHeader(1, count: 0, isLast: true) == raw(0, fin, 1, 0))
    #expect(session.sendWindow(1) == 0)
    #expect(session.dataHeader(1, count: 0, isLast: false) == nil)
    #expect(session.stream(1)?.isFinishedHere == true)
    // It still receives.
    #expect(session.events(rawData(1, [1])) == [.data(1, [1])])
    #expect(session.events(raw(1, fin, 1, 0)) == [.finished(1)])
    #expect(session.streams.isEmpty)
    #expect(session.violation == nil)
  }

  @Test func aPeerThatIsDoneStillReceivesAndGetsNoMoreWindow() {
    var session = YamuxSession(role: .server, limits: YamuxLimits(initialWindow: 100))
    _ = session.events(rawData(1, [UInt8](repeating: 1, count: 100), flags: syn))
    _ = session.takeControl()
    session.consumed(1, 60)
    #expect(session.hasControl)
    #expect(session.events(raw(0, fin, 1, 0)) == [.finished(1)])
    #expect(!session.hasControl)
    session.consumed(1, 40)
    #expect(!session.hasControl)
    #expect(session.dataHeader(1, count: 4, isLast: false) == raw(0, 0, 1, 4))
    // Its last word twice, and an empty frame, change nothing.
    #expect(session.events(raw(1, fin, 1, 0) + raw(0, 0, 1, 0)) == [])
    #expect(session.events(raw(1, 0, 1, 9)) == [])
    #expect(session.sendWindow(1) == 105)
  }

  // The implementation of HashiCorp closes a stream that it has not answered yet with one frame.
  @Test func theAnswerMayAlsoBeTheEnd() {
    var session = YamuxSession(role: .client)
    for _ in 0..<3 { _ = session.open(window: 0) }
    _ = session.takeControl()
    #expect(session.events(raw(1, ack | fin, 1, 0)) == [.finished(1)])
    #expect(session.events(raw(1, ack | rst, 3, 0)) == [.reset(3)])
    #expect(session.events(rawData(5, [1], flags: ack | fin)) == [.data(5, [1]), .finished(5)])
    #expect(session.dataHeader(1, count: 0, isLast: true) == raw(0, fin, 1, 0))
    #expect(session.streams.map(\.id) == [5])
  }

  @Test func aResetEndsAStreamBothWays() {
    var session = YamuxSession(role: .server)
    _ = session.events(raw(1, syn, 1, 0) + raw(1, syn, 3, 0))
    _ = session.takeControl()
    #expect(session.events(raw(1, rst, 1, 0)) == [.reset(1)])
    #expect(session.sendWindow(1) == 0)
    session.reset(3)
    session.reset(3)
    session.reset(99)
    #expect(session.streams.isEmpty)
    #expect(session.controlFrames() == [SeenFrame(1, rst, 3, 0)])
    // Nothing is left due for the first.
    session.consumed(1, 1)
    #expect(!session.hasControl)
  }

  @Test func aResetInTheMiddleOfAFrameSkipsItsRest() {
    var session = YamuxSession(role: .server)
    #expect(session.events(raw(0, syn | fin, 1, 4) + [1, 2]) == [.opened(1), .data(1, [1, 2])])
    session.reset(1)
    #expect(session.events([3, 4] + raw(1, syn, 3, 0)) == [.opened(3)])
    #expect(session.counts.skippedBytes == 2)
  }

  @Test func aResetOnDataSkipsTheData() {
    var session = YamuxSession(role: .server)
    _ = session.events(raw(1, syn, 1, 0))
    #expect(session.events(rawData(1, [1, 2, 3], flags: rst | fin) + raw(1, syn, 3, 0)) == [.reset(1), .opened(3)])
    #expect(session.counts.skippedBytes == 3)
  }

  @Test func anUnannouncedStreamIsForgottenWithoutAWord() {
    var session = YamuxSession(role: .client)
    _ = session.open(window: 0)
    session.reset(1)
    #expect(!session.hasControl)
    #expect(session.open(window: 0) == 3)
    #expect(session.controlFrames() == [SeenFrame(1, syn, 3, 0)])
  }

  @Test func theLimitOfOwnStreamsIsKept() {
    var session = YamuxSession(role: .client, limits: YamuxLimits(maximumStreams: 2))
    #expect(session.open(window: 0) == 1)
    #expect(session.open(window: 0) == 3)
    #expect(session.open(window: 0) == nil)
    _ = session.takeControl()
    #expect(session.events(raw(1, rst, 3, 0)) == [.reset(3)])
    #expect(session.open(window: 0) == 5)
    // The peer's do not count.
    #expect(session.events(raw(1, syn, 2, 0)) == [.opened(2)])
  }

  @Test func furtherStreamsOfThePeerAreRefused() {
    var session = YamuxSession(role: .server, limits: YamuxLimits(maximumStreams: 2))
    _ = session.open(window: 0)
    let three = raw(1, syn, 1, 0) + raw(1, syn, 3, 0) + rawData(5, [1, 2], flags: syn)
    #expect(session.events(three) == [.opened(1), .opened(3)])
    #expect(session.counts.refusedStreams == 1)
    #expect(session.counts.skippedBytes == 2)
    #expect(session.controlFrames().first == SeenFrame(1, rst, 5, 0))
    // What it sent before it could know is skipped.
    #expect(session.events(rawData(5, [3], flags: fin) + raw(1, fin, 5, 0)) == [])
    #expect(session.counts.skippedFrames == 2)
    // When one has ended there is room again.
    session.reset(1)
    #expect(session.events(raw(1, syn, 7, 0)) == [.opened(7)])
  }

  @Test func idsAreUsedUpAtTheEnd() {
    for role in [YamuxSession.Role.client, .server] {
      var session = YamuxSession(role: role)
      session.lastOwn = role == .client ? 0xffff_fffd : 0xffff_fffc
      #expect(session.open(window: 0) == session.lastOwn)
      #expect(session.lastOwn >= 0xffff_fffe)
      #expect(session.open(window: 0) == nil)
    }
  }
}
