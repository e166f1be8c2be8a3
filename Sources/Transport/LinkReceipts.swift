// When the loop of a link hears that frames were dealt with, by the rules:
// 1. It is told once a quarter of the channel's window, or of the frames that may wait, has been dealt with: an update of
//    the window is due at half of it, so telling it of every frame would be turns of the loop for nothing.
// 2. While bytes of the channel are held in no frame, it is told of every frame: what the other side may then send can
//    depend on it (`FrameAssembler`, rule 2).
// 3. All the rest it takes with it on its next turn.

/// The frames of one link that were handed on, and what of them was dealt with. Pure; its owner guards it.
struct LinkReceipts {
  /// What of a channel was dealt with since it was taken last.
  struct Dealt: Equatable {
    var frames = 0
    var byteCount = 0
  }

  private struct Lane {
    /// Frames that were handed on and not dealt with.
    var outstanding = 0
    var dealt = Dealt()
    /// Rule 2.
    var isHolding = false
    let byteThreshold: Int
  }

  private static let share = 4

  private var lanes: [Lane]
  private let frameThreshold: Int
  /// True while a turn of the loop is on its way that will take what was dealt with.
  private var isScheduled = false

  init(configuration: LinkConfiguration) {
    lanes = configuration.windows.map { Lane(byteThreshold: Int($0) / LinkReceipts.share) }
    frameThreshold = max(1, configuration.maximumWaitingFrames / LinkReceipts.share)
  }

  /// A frame is handed on.
  mutating func handOn(_ channel: LinkChannel) { lanes[channel.index].outstanding += 1 }

  /// A frame was dealt with. True when the loop is to be told.
  mutating func consumed(_ byteCount: Int, _ channel: LinkChannel) -> Bool {
    guard lanes[channel.index].outstanding > 0 else { return false }
    lanes[channel.index].outstanding -= 1
    lanes[channel.index].dealt.frames += 1
    lanes[channel.index].dealt.byteCount += byteCount
    let lane = lanes[channel.index]
    let isEnough =
      lane.isHolding || lane.dealt.byteCount >= lane.byteThreshold || lane.dealt.frames >= frameThreshold
    guard isEnough, !isScheduled else { return false }
    isScheduled = true
    return true
  }

  /// Takes what was dealt with, and notes whether bytes of the channel are held. To be called after bytes came.
  mutating func take(_ channel: LinkChannel, isHolding: Bool) -> Dealt {
    isScheduled = false
    lanes[channel.index].isHolding = isHolding
    defer { lanes[channel.index].dealt = Dealt() }
    return lanes[channel.index].dealt
  }

  /// The link is gone: how many frames of each channel were handed on and not dealt with.
  mutating func retire() -> [Int] {
    let outstanding = lanes.map(\.outstanding)
    for index in lanes.indices { lanes[index].outstanding = 0 }
    return outstanding
  }
}
