import Primitives

/// Everything that happened, as a hash that two runs can be compared by, and as lines when they are wanted.
struct Transcript {
  /// The most lines kept; the oldest are forgotten.
  static let maximumLines = 4_000

  let isRecorded: Bool
  private var mixer = Mixer()
  private(set) var lines: [String] = []

  init(isRecorded: Bool) { self.isRecorded = isRecorded }

  /// An event: what kind, at which node, and what tells it from others.
  mutating func mix(_ at: Instant, _ kind: UInt64, _ node: Int, _ detail: UInt64 = 0) {
    mixer.add(UInt64(bitPattern: at.microseconds))
    mixer.add(kind << 32 | UInt64(truncatingIfNeeded: node))
    mixer.add(detail)
  }

  /// A line for people; it is not part of the hash, since what it tells of is.
  mutating func note(_ at: Instant, _ text: @autoclosure () -> String) {
    guard isRecorded else { return }
    lines.append("\(at) \(text())")
    if lines.count > 2 * Transcript.maximumLines { lines.removeFirst(Transcript.maximumLines) }
  }

  /// The hash of all that was mixed in.
  var hash: Digest {
    let (first, second) = mixer.halves
    var bytes: [UInt8] = []
    for word in [first, second] {
      for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    return Digest(hashing: bytes)
  }
}
