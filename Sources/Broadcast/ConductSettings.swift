import Primitives

/// What misconduct leads to. The prices are in `Misconduct.points`.
public struct ConductSettings: Sendable, Equatable {
  /// A node that has cost this many points, as far as they have not faded, is closed or not heard. A tenth fades with each
  /// heartbeat, so that one which floods in each gets there after eleven.
  public var closingPoints: Int64 = 100
  /// The most points that a node can gain, one for each message that it was the first to bring.
  public var maximumMerit: Int64 = 50
  /// For how long a node is not let in after its link was closed for the first time.
  public var firstBan = Microseconds.seconds(60)
  /// Each further closing doubles the ban, up to this.
  public var longestBan = Microseconds.seconds(3_600)
  /// How long after the end of a ban the next one is twice as long.
  public var banMemory = Microseconds.seconds(3_600)

  /// The defaults.
  public init() {}
}
