import LinkProtocol
import Primitives
import Testing
import Wire

@testable import Transport

/// The pure parts of a link, without a socket.
@Suite struct LinkStreamsTests {
  /// Two ends joined by hand.
  private struct Pair {
    var dialler: LinkStreams
    var acceptor: LinkStreams

    init(_ change: (inout LinkConfiguration) -> Void = { _ in }) {
      var configuration = LinkConfiguration()
      change(&configuration)
      dialler = LinkStreams(role: .client, configuration: configuration)
      acceptor = LinkStreams(role: .server, configuration: configuration)
    }

    /// Carries what is due each way until nothing is. Returns what each side saw.
    mutating func settle() -> (dialler: [LinkStreams.Event], acceptor: [LinkStreams.Event]) {
      var seen: (dialler: [LinkStreams.Event], acceptor: [LinkStreams.Event]) = ([], [])
      while true {
        let (out, back) = (dialler.takeControl(), acceptor.takeControl())
        if out.isEmpty && back.isEmpty { return seen }
        acceptor.receive(out, events: &seen.acceptor)
        dialler.receive(back, events: &seen.dialler)
      }
    }

    /// Sends bytes of a channel from the dialler, as many as there is room for.
    mutating func send(_ bytes: [UInt8], _ channel: LinkChannel) -> (sent: Int, events: [LinkStreams.Event]) {
      let count = min(bytes.count, dialler.window(channel))
      var events: [LinkStreams.Event] = []
      guard count > 0, let header = dialler.dataHeader(channel, byteCount: count) else { return (0, []) }
      acceptor.receive(header + bytes[..<count], events: &events)
      return (count, events)
    }
  }

  @Test func theChannelsOpenWithTheirWindows() {
    var pair = Pair()
    #expect(LinkChannel.allCases.allSatisfy { pair.dialler.window($0) == 0 && pair.acceptor.window($0) == 0 })
    let seen = pair.settle()
    #expect(seen.dialler.isEmpty && seen.acceptor.isEmpty)
    let windows = LinkConfiguration().windows.map(Int.init)
    #expect(LinkChannel.allCases.map { pair.dialler.window($0) } == windows)
    #expect(LinkChannel.allCases.map { pair.acceptor.window($0) } == windows)
    #expect(LinkChannel.allCases.map { pair.dialler.info($0).id } == [1, 3, 5, 7])
  }

  // The header that the queue leaves room for.
  @Test func aFullMessageHas64KiBWithItsLength() {
    var pair = Pair()
    _ = pair.settle()
    let header = pair.dialler.dataHeader(.sync, byteCount: LinkFormat.maximumDataByteCount)
    #expect(header.map { $0.count + LinkFormat.maximumDataByteCount + 16 + 2 } == 65_536)
  }

  @Test func aFrameThatIsNotDealtWithGivesNoCredit() {
    var pair = Pair { $0.servicesWindowByteCount = 262_144 }
    _ = pair.settle()
    let frame = YamuxFrame.prefix(200_000) + [UInt8](repeating: 1, count: 200_000)
    let first = pair.send(frame, .services)
    #expect(first.sent == 200_004 && first.events == [.frame(.services, Array(frame[4...]))])
    let second = pair.send(frame, .services)
    #expect(second.sent == 62_140 && second.events.isEmpty)
    _ = pair.settle()
    #expect(pair.dialler.window(.services) == 0 && pair.dialler.window(.sync) > 0)
    #expect(pair.acceptor.info(.services).unconsumedBytes == 262_144)
    #expect(LinkChannel.allCases.map { pair.acceptor.heldByteCount($0) } == [0, 0, 0, 62_140])
    var events: [LinkStreams.Event] = []
    pair.acceptor.consumed(.services, frames: 1, byteCount: 200_000, events: &events)
    _ = pair.settle()
    #expect(events.isEmpty && pair.dialler.window(.services) == 262_144)
    #expect(pair.acceptor.info(.services).unconsumedBytes == 0)
  }

  @Test func framesBeyondThoseThatMayWaitAreKept() {
    var pair = Pair { $0.maximumWaitingFrames = 2 }
    _ = pair.settle()
    let three = (1...3).flatMap { YamuxFrame.prefix(1) + [UInt8($0)] }
    #expect(pair.send(three, .sync).events == [.frame(.sync, [1]), .frame(.sync, [2])])
    #expect(pair.acceptor.heldByteCount(.sync) > 0)
    var events: [LinkStreams.Event] = []
    pair.acceptor.consumed(.sync, frames: 1, byteCount: 1, events: &events)
    #expect(events == [.frame(.sync, [3])] && pair.acceptor.heldByteCount(.sync) == 0)
  }

  @Test func pingsAndTheEndAreToldApart() {
    var pair = Pair()
    _ = pair.settle()
    pair.dialler.ping(77)
    #expect(pair.settle().dialler == [.pong(77)])
    for notice in [LinkNotice.normal, .replaced, .tooManyLinks, .misbehaviour] {
      var pair = Pair()
      _ = pair.settle()
      pair.acceptor.close(notice)
      #expect(pair.settle().dialler == [.closed(notice)])
    }
    var events: [LinkStreams.Event] = []
    pair.dialler.receive(YamuxFrame(YamuxFrame.goAway, length: 99).bytes, events: &events)
    #expect(events == [.closed(.normal)])
  }

  @Test func nothingFollowsAViolation() {
    var pair = Pair()
    _ = pair.settle()
    var events: [LinkStreams.Event] = []
    pair.acceptor.receive(
      YamuxFrame(YamuxFrame.data, flags: YamuxFrame.fin, stream: 1, length: 0).bytes
        + YamuxFrame.frame(.sync, [1]) + YamuxFrame(YamuxFrame.goAway, length: 0).bytes, events: &events)
    #expect(events == [.violation("streamEnded")])
    pair.acceptor.close(.protocolError)
    #expect(pair.settle().dialler == [.closed(.protocolError)])
  }
}

extension LinkStreams {
  fileprivate mutating func receive(_ bytes: [UInt8], events: inout [Event]) {
    bytes.withUnsafeBytes { receive($0, events: &events) }
  }
}

@Suite struct LinkReceiptsTests {
  private func receipts() -> LinkReceipts {
    var configuration = LinkConfiguration()
    configuration.syncWindowByteCount = 400_000
    configuration.maximumWaitingFrames = 40
    return LinkReceipts(configuration: configuration)
  }

  @Test func theLoopIsToldOfAQuarter() {
    var receipts = receipts()
    for _ in 0..<30 { receipts.handOn(.sync) }
    let bytes = (0..<4).map { _ in receipts.consumed(25_000, .sync) }
    #expect(bytes == [false, false, false, true])
    // Once is enough until it has looked.
    #expect(receipts.consumed(25_000, .sync) == false)
    #expect(receipts.take(.sync, isHolding: false) == LinkReceipts.Dealt(frames: 5, byteCount: 125_000))
    let frames = (0..<10).map { _ in receipts.consumed(0, .sync) }
    #expect(frames.firstIndex(of: true) == 9)
    #expect(receipts.take(.sync, isHolding: false) == LinkReceipts.Dealt(frames: 10, byteCount: 0))
    #expect(receipts.take(.sync, isHolding: false) == LinkReceipts.Dealt())
  }

  @Test func itIsToldOfEachWhileBytesAreHeld() {
    var receipts = receipts()
    for _ in 0..<3 { receipts.handOn(.sync) }
    _ = receipts.take(.sync, isHolding: true)
    #expect(receipts.consumed(1, .sync) == true)
    _ = receipts.take(.sync, isHolding: false)
    #expect(receipts.consumed(1, .sync) == false)
  }

  @Test func whatWasNotHandedOnCountsForNothing() {
    var receipts = receipts()
    #expect(receipts.consumed(400_000, .sync) == false)
    #expect(receipts.take(.sync, isHolding: false) == LinkReceipts.Dealt())
    for _ in 0..<3 { receipts.handOn(.sync) }
    receipts.handOn(.consensus)
    _ = receipts.consumed(1, .sync)
    #expect(receipts.retire() == [1, 0, 2, 0])
    #expect(receipts.consumed(400_000, .sync) == false)
  }
}

@Suite struct LinkLivenessTests {
  private let start = Instant(microseconds: 1_000_000)

  private func liveness() -> LinkLiveness { LinkLiveness(configuration: LinkConfiguration(), now: start) }

  @Test func whoIsSilentIsAskedAndThenGivenUp() {
    var liveness = liveness()
    #expect(liveness.due(start + .milliseconds(4_999)) == .nothing)
    #expect(liveness.due(start + .seconds(5)) == .ping)
    _ = liveness.ping(start + .seconds(5))
    #expect(liveness.due(start + .seconds(6)) == .nothing)
    #expect(liveness.due(start + .seconds(10)) == .ping)
    #expect(liveness.due(start + .seconds(15)) == .end)
    liveness.heard(start + .seconds(14))
    #expect(liveness.due(start + .seconds(15)) == .nothing)
  }

  @Test func whoTalksIsMeasuredAllTheSame() {
    var liveness = liveness()
    for second in Int64(1)..<30 {
      liveness.heard(start + .seconds(second))
      #expect(liveness.due(start + .seconds(second)) == .nothing)
    }
    liveness.heard(start + .seconds(30))
    #expect(liveness.due(start + .seconds(30)) == .ping)
  }

  @Test func onlyTheAnswerToTheLastPingCountsAndOnce() {
    var liveness = liveness()
    let first = liveness.ping(start)
    let second = liveness.ping(start)
    liveness.pong(first, now: start + .milliseconds(1))
    #expect(liveness.roundTrip == nil)
    liveness.pong(second, now: start + .milliseconds(8))
    liveness.pong(second, now: start + .milliseconds(80))
    #expect(liveness.roundTrip == .milliseconds(8))
    let third = liveness.ping(start)
    liveness.pong(third, now: start + .milliseconds(16))
    #expect(liveness.roundTrip == .milliseconds(9))
  }
}

@Suite struct LinkBansTests {
  @Test func aBanEndsAndTheOldestIsForgotten() throws {
    var bans = LinkBans()
    let start = Instant(microseconds: 0)
    let ids = try (0...LinkBans.maximumNodes).map {
      try #require(NodeID(bytes: [UInt8($0 >> 8), UInt8($0 & 255)] + [UInt8](repeating: 1, count: 30)))
    }
    for id in ids.dropLast() { bans.ban(id, until: start + .seconds(10)) }
    #expect(bans.isBanned(ids[0], now: start + .milliseconds(9_999)) == true)
    #expect(bans.isBanned(ids[0], now: start + .seconds(10)) == false)
    #expect(bans.isBanned(ids[0], now: start) == false)
    // One place was free again; for the next the oldest has to go.
    bans.ban(ids[0], until: start + .seconds(20))
    bans.ban(ids[LinkBans.maximumNodes], until: start + .seconds(20))
    let banned = ids.indices.filter { bans.isBanned(ids[$0], now: start) }
    #expect(banned == [0] + Array(2...LinkBans.maximumNodes))
  }
}
