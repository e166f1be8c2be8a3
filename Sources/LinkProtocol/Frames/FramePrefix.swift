/// What stands before each frame on a stream of a link: its length in four bytes, big-endian.
package enum FramePrefix {
  /// Bytes of the prefix.
  package static let byteCount = 4
  /// Bytes in the longest frame, without its prefix: 8 MiB.
  package static let maximumFrameByteCount = 8_388_608

  /// The prefix of a frame of `frameByteCount` bytes; nil when there is no such frame.
  package static func encoded(_ frameByteCount: Int) -> [UInt8]? {
    guard (0...maximumFrameByteCount).contains(frameByteCount) else { return nil }
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: frameByteCount >> $0) }
  }
}
