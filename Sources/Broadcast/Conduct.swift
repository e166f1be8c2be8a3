import Primitives

/// How a node has behaved towards this one, for people: it outlives the link.
public struct Conduct: Sendable, Equatable {
  /// One kind of misconduct, added up.
  public struct Cost: Sendable, Equatable {
    /// What it did.
    public var misconduct: Misconduct
    /// How often.
    public var count: UInt64
    /// The points that it was charged for that, in all. Less than `count` times the price where that is charged once in a
    /// heartbeat.
    public var points: Int64
  }

  /// A link that was closed, or a node that was not heard for a while.
  public struct Closing: Sendable, Equatable {
    /// When.
    public var at: Instant
    /// What it did last.
    public var misconduct: Misconduct
    /// For how long it is not let in; 0 where its link stayed and it was not heard.
    public var banSeconds: UInt32
  }

  /// Its score in points: what it brought first, less what it cost. Both fade.
  public var score: Int64 = 0
  /// How many messages it was the first to bring, in all.
  public var firsts: UInt64 = 0
  /// What it was charged for, in the order of the numbers of misconduct.
  public var costs: [Cost] = []
  /// The latest closings, oldest first.
  public var closings: [Closing] = []
  /// Until when it is not let in; nil when it is. May have passed.
  public var bannedUntil: Instant?
}
