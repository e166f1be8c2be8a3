import Primitives

/// Everything that happened, as a hash that two runs can be compared by, and as lines when they are wanted.
struct Transcript {
  /// The most lines kept; the oldest are forgotten.
  static let maximumLines = 2_000

  private let isRecorded: Bool
  private var pending: [UInt8] = []
  private var digest = Digest.zero
  private(set) var lines: [String] = []

  init(isRecorded: Bool) { self.isRecorded = isRecorded }

  /// A message that a node received.
  mutating func add(_ at: Instant, _ node: Int, _ what: @autoclosure () -> String, _ bytes: [UInt8]) {
    mix(at)
    pending.append(UInt8(truncatingIfNeeded: node))
    pending.append(contentsOf: bytes)
    fold(whenOver: 65_536)
  }

  /// Something for people, too.
  mutating func note(_ at: Instant, _ text: @autoclosure () -> String) {
    let line = text()
    mix(at)
    pending.append(contentsOf: line.utf8)
    fold(whenOver: 65_536)
    guard isRecorded else { return }
    lines.append("\(at) \(line)")
    if lines.count > 2 * Transcript.maximumLines { lines.removeFirst(Transcript.maximumLines) }
  }

  private mutating func mix(_ at: Instant) {
    for shift in stride(from: 0, to: 64, by: 8) {
      pending.append(UInt8(truncatingIfNeeded: at.microseconds >> Int64(shift)))
    }
  }

  private mutating func fold(whenOver limit: Int) {
    guard pending.count > limit else { return }
    digest = Digest(hashing: digest.bytes + pending)
    pending.removeAll(keepingCapacity: true)
  }

  /// The hash of all that was added.
  mutating func hash() -> Digest {
    fold(whenOver: -1)
    return digest
  }
}
