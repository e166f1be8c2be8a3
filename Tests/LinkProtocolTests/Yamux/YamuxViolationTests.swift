import Testing

@testable import LinkProtocol

@Suite struct YamuxViolationTests {
  /// A server with stream 1 (the peer's, 100 bytes of window) and stream 2 (its own) open.
  private func session() -> YamuxSession {
    var session = YamuxSession(
      role: .server,
      limits: YamuxLimits(maximumStreams: 4, initialWindow: 100, maximumFrame: 80, maximumPendingControl: 9))
    _ = session.open(window: 0)
    _ = session.events(raw(1, syn, 1, 0))
    _ = session.takeControl()
    return session
  }

  private func expect(
    _ bytes: [UInt8], after prepare: (inout YamuxSession) -> Void = { _ in }, _ violation: YamuxViolation,
    _ location: SourceLocation = #_sourceLocation
  ) {
    var session = session()
    prepare(&session)
    #expect(session.events(bytes).last == .violation(violation), sourceLocation: location)
    #expect(session.violation == violation, sourceLocation: location)
    #expect(session.streams.isEmpty, sourceLocation: location)
    #expect(session.closed.count == 0, sourceLocation: location)
    // Dead: one go-away of code 1 comes out, nothing goes in.
    session.ping(1)
    session.goAway(0)
    session.reset(1)
    session.consumed(1, 1)
    session.raiseWindow(1, to: 1_000)
    #expect(session.open(window: 0) == nil, sourceLocation: location)
    #expect(session.dataHeader(1, count: 0, isLast: true) == nil, sourceLocation: location)
    #expect(session.sendWindow(1) == 0, sourceLocation: location)
    #expect(session.takeControl() == raw(3, 0, 0, 1), sourceLocation: location)
    #expect(session.events(raw(2, syn, 0, 1) + raw(2, ack, 0, 1)) == [], sourceLocation: location)
    #expect(!session.hasControl, sourceLocation: location)
  }

  @Test func theVersionIsZero() {
    expect([1] + raw(2, syn, 0, 0).dropFirst(), .version(1))
    expect([0xff] + raw(0, 0, 1, 0).dropFirst(), .version(255))
  }

  @Test func thereAreFourTypes() {
    expect(raw(4, 0, 1, 0), .type(4))
    expect(raw(255, 0, 0, 0), .type(255))
  }

  @Test func thereAreFourFlags() {
    expect(raw(0, 16, 1, 0), .flags(16, type: 0))
    expect(raw(1, 0x8001, 3, 0), .flags(0x8001, type: 1))
    expect(raw(2, 0, 0, 0), .flags(0, type: 2))
    expect(raw(2, 3, 0, 0), .flags(3, type: 2))
    expect(raw(2, 5, 0, 0), .flags(5, type: 2))
    expect(raw(3, 1, 0, 0), .flags(1, type: 3))
  }

  @Test func streamZeroIsTheSession() {
    expect(raw(0, 0, 0, 1), .streamFrameOnSession)
    expect(raw(1, syn, 0, 1), .streamFrameOnSession)
    expect(raw(2, syn, 1, 0), .sessionFrameOnStream(1))
    expect(raw(3, 0, 2, 0), .sessionFrameOnStream(2))
  }

  @Test func thePeerOpensItsOwnIdsOnly() {
    expect(raw(1, syn, 4, 0), .wrongParity(4))
    expect(raw(0, syn, 2, 0), .wrongParity(2))
    var client = YamuxSession(role: .client)
    #expect(client.events(raw(1, syn, 1, 0)) == [.violation(.wrongParity(1))])
  }

  @Test func idsAscend() {
    expect(raw(1, syn, 1, 0), .idNotAscending(1))
    expect(raw(1, syn, 9, 0) + raw(1, syn, 7, 0), .idNotAscending(7))
    expect(raw(1, syn, 9, 0) + raw(1, rst, 9, 0) + raw(1, syn, 9, 0), .idNotAscending(9))
    // A refused one is used too.
    let many = (1...5).flatMap { raw(1, syn, 1 + 2 * $0, 0) }
    expect(many + raw(1, syn, 11, 0), .idNotAscending(11))
  }

  @Test func onlyOpenStreamsGetFrames() {
    expect(raw(0, 0, 3, 1), .unknownStream(3))
    expect(raw(1, 0, 3, 1), .unknownStream(3))
    expect(raw(1, rst, 4, 0), .unknownStream(4))
    expect(raw(0, fin, 4, 0), .unknownStream(4))
    // One that was passed over.
    expect(raw(1, syn, 9, 0) + raw(0, 0, 5, 1), .unknownStream(5))
    // One that this side has opened and not announced: the peer guessed it.
    expect(raw(0, ack, 4, 1), after: { _ = $0.open(window: 0) }, .unknownStream(4))
  }

  @Test func theWindowIsKept() {
    expect(rawData(1, [UInt8](repeating: 0, count: 60)) + raw(0, 0, 1, 41), .windowExceeded(1, length: 41, window: 40))
    let bytes = rawData(1, [UInt8](repeating: 0, count: 60))
    // What was consumed does not count before it is told.
    var session = session()
    _ = session.events(bytes)
    session.consumed(1, 60)
    #expect(session.hasControl)
    var told = session
    #expect(session.events(raw(0, 0, 1, 41)) == [.violation(.windowExceeded(1, length: 41, window: 40))])
    _ = told.takeControl()
    #expect(told.events(rawData(1, [1]) + bytes).count == 2)
    // The whole frame is judged by its header.
    #expect(told.events(raw(0, 0, 1, 40)) == [.violation(.windowExceeded(1, length: 40, window: 39))])
    // The first data on a new stream.
    var small = YamuxSession(role: .server, limits: YamuxLimits(initialWindow: 10))
    let events = small.events(raw(0, syn, 1, 11))
    #expect(events == [.opened(1), .violation(.windowExceeded(1, length: 11, window: 10))])
  }

  @Test func theLongestFrameIsKept() {
    expect(raw(0, 0, 1, 81), .frameTooLong(1, length: 81))
    expect(raw(0, syn, 3, .max), .frameTooLong(3, length: .max))
  }

  @Test func nothingFollowsTheLastWord() {
    expect(raw(1, fin, 1, 0) + raw(0, 0, 1, 1), .dataAfterEnd(1))
    expect(rawData(1, [1], flags: fin) + raw(0, 0, 1, 1), .dataAfterEnd(1))
    expect(raw(1, rst, 1, 0) + raw(0, 0, 1, 1), .dataAfterEnd(1))
    expect(raw(1, rst, 2, 0) + raw(0, fin, 2, 1), .dataAfterEnd(2))
    // Also on a stream that was ended here before.
    expect(raw(1, fin, 1, 0) + raw(0, 0, 1, 1), after: { $0.reset(1) }, .dataAfterEnd(1))
    expect(
      raw(1, fin, 1, 0) + raw(0, 0, 1, 1), after: { _ = $0.dataHeader(1, count: 0, isLast: true) }, .dataAfterEnd(1))
  }

  @Test func aWindowHasThirtyTwoBits() {
    var session = session()
    #expect(session.events(raw(1, 0, 1, .max - 100)) == [])
    #expect(session.sendWindow(1) == Int(UInt32.max))
    expect(raw(1, 0, 1, .max - 99), .windowOverflow(1))
    expect(raw(1, 0, 1, .max - 100) + raw(1, 0, 1, 1), .windowOverflow(1))
    expect(raw(1, syn, 3, .max), .windowOverflow(3))
  }

  @Test func aPeerReadsItsResets() {
    // Two streams are open; each of the next may need a reset.
    let openings = (1...8).flatMap { raw(1, syn, 1 + 2 * $0, 0) }
    expect(openings, .tooManyResets)
    var session = session()
    for index in 1...100 as ClosedRange<UInt32> {
      _ = session.events(raw(1, syn, 1 + 2 * index, 0))
      _ = session.takeControl()
    }
    #expect(session.violation == nil)
    #expect(session.counts.refusedStreams == 97)
  }

  @Test func eachHasACodeAndASentence() {
    let all: [YamuxViolation] = [
      .version(1), .type(9), .flags(16, type: 0), .streamFrameOnSession, .sessionFrameOnStream(1), .wrongParity(2),
      .idNotAscending(3), .unknownStream(4), .windowExceeded(5, length: 2, window: 1), .frameTooLong(6, length: 7),
      .dataAfterEnd(7), .windowOverflow(8), .tooManyResets,
    ]
    var codes: [String] = []
    for violation in all {
      #expect(!codes.contains(violation.code))
      codes.append(violation.code)
      #expect(violation.description.hasSuffix("[\(violation.code)]"))
    }
    #expect(codes.count == 13)
  }
}
