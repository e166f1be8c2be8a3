import Primitives

/// Gives sequence numbers that strictly increase: microseconds since 1970, or one above the last when the clock
/// does not advance.
public struct SequenceSource: Sendable {
  /// The last number given; the next is above it.
  public private(set) var last: UInt64

  /// A source whose numbers are above `floor`: the mark that the shell kept on disk ahead of use.
  public init(floor: UInt64) { last = floor }

  /// The next number.
  public mutating func next(unixMicroseconds: UInt64) -> UInt64 {
    last = max(unixMicroseconds, last &+ 1)
    return last
  }
}

/// What a node signs with: its voice, its wall clock and its sequence numbers. Each node has one, so that no
/// number is used twice.
public struct Identity: Sendable {
  /// Signs.
  public let signer: Signer
  /// Turns instants into wall time.
  public var wallClock: WallClock
  /// Gives sequence numbers.
  public var sequences: SequenceSource

  /// An identity.
  public init(signer: Signer, wallClock: WallClock, sequenceFloor: UInt64) {
    self.signer = signer
    self.wallClock = wallClock
    sequences = SequenceSource(floor: sequenceFloor)
  }

  /// The node's id.
  public var id: NodeID { signer.id }

  /// Signs a message under the next sequence number.
  public mutating func seal(_ body: MessageBody, now: Instant) -> Verified<Message> {
    signer.seal(body, sequence: sequences.next(unixMicroseconds: wallClock.unixMicroseconds(at: now)))
  }
}
