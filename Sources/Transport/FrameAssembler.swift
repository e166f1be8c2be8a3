/// Puts the fragments of one link's frames together again, each channel by itself.
struct FrameAssembler {
  /// Why a fragment was refused. The link ends with it.
  enum Refusal: Error, Equatable {
    /// The frame is longer than the limit.
    case oversizedFrame
    /// A fragment that is followed by more is empty: nothing but work for the receiver.
    case emptyFragment
  }

  private var partial: [[UInt8]]
  private let maximumFrameByteCount: Int
  /// Bytes of frames that are not complete.
  private(set) var byteCount = 0

  init(maximumFrameByteCount: Int) {
    self.maximumFrameByteCount = maximumFrameByteCount
    partial = LinkChannel.allCases.map { _ in [] }
  }

  /// Adds a fragment. Returns the frame that it completes, if it does.
  mutating func add(
    _ fragment: UnsafeRawBufferPointer, channel: LinkChannel, isFollowed: Bool
  ) throws(Refusal) -> [UInt8]? {
    let index = Int(channel.rawValue)
    if isFollowed && fragment.isEmpty { throw .emptyFragment }
    let begun = partial[index].count
    guard fragment.count <= maximumFrameByteCount - begun else { throw .oversizedFrame }
    if !isFollowed && begun == 0 { return Array(fragment) }
    // Room grows with what arrives, never with what was announced.
    partial[index].append(contentsOf: fragment)
    if isFollowed {
      byteCount += fragment.count
      return nil
    }
    byteCount -= begun
    var frame: [UInt8] = []
    swap(&frame, &partial[index])
    return frame
  }
}
