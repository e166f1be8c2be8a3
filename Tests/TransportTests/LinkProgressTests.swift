import LinkProtocol
import Primitives
import Testing

@testable import Transport

/// When a link counts as stalled.
@Suite struct LinkProgressTests {
  private static let window = 1_000
  private var progress = LinkProgress(configuration: LinkConfiguration(), now: .zero)
  private var streams = LinkChannel.allCases.map {
    StreamInfo(
      id: $0.streamID, channel: $0, sentBytes: 0, receivedBytes: 0, queuedBytes: 0, sendWindowBytes: window,
      unconsumedBytes: 0)
  }
  private var seconds: Int64 = 0

  /// Looks once a second, and says after how many the link is stalled; nil if it is not for 200.
  private mutating func stalled(_ change: (inout [StreamInfo], Int64) -> Void = { _, _ in }) -> Int64? {
    for second in 1...200 {
      seconds += 1
      change(&streams, Int64(second))
      if progress.isStalled(streams, now: Instant(microseconds: seconds * 1_000_000)) { return Int64(second) }
    }
    return nil
  }

  @Test mutating func aLinkWithoutAnythingToSendIsNot() { #expect(stalled() == nil) }

  // The connection takes nothing, though there is room on every channel.
  @Test mutating func anythingThatWaitsForTheLimitIsEnough() {
    streams[1].queuedBytes = 1
    #expect(stalled() == 60)
  }

  @Test mutating func aSlowLinkIsNot() {
    streams[1].queuedBytes = 10_000_000
    #expect(stalled { streams, second in if second % 50 == 0 { streams[1].sentBytes += 1 } } == nil)
    // And then it stops.
    #expect(stalled() == 60)
  }

  @Test(arguments: [0, FramePrefix.byteCount]) mutating func aChannelWithoutRoomIsNotExcusedByOthers(room: Int) {
    streams[3].queuedBytes = 1
    streams[3].sendWindowBytes = room
    #expect(stalled { streams, _ in streams[0].sentBytes += 9 } == 60)
  }

  @Test mutating func aChannelThatWaitsForOthersIsNot() {
    streams[3].queuedBytes = 1
    #expect(stalled { streams, _ in streams[2].sentBytes += 9 } == nil)
  }
}
