/// The bounds of the ledger's state that are no chain parameters. What exceeds one is refused with a reason.
public enum LedgerBounds {
  /// The most accounts; a transfer that would open one more is refused.
  public static let maximumAccounts: UInt64 = 4_000_000
  /// The most providers with a bond.
  public static let maximumProviders: UInt64 = 16_384
  /// The most accounts with a validator's stake.
  public static let maximumValidators: UInt64 = 4_096
  /// The most jobs in the state, ended ones within their retention included.
  public static let maximumJobs: UInt64 = 250_000
  /// The most retries of a job.
  public static let maximumRetries: UInt8 = 16
  /// The most leases of a job that were declined or not accepted in time: nothing ran, so none uses up an attempt.
  /// A job has thus at most `1 + retries + maximumUnstartedLeases` leases.
  public static let maximumUnstartedLeases = 16
  /// The longest wall limit of a job, in milliseconds: 365 days.
  public static let maximumWallLimitMilliseconds: UInt64 = 365 * 86_400_000
  /// The longest wait for a provider, in milliseconds: 30 days. A later start deadline counts as this.
  public static let maximumStartWindowMilliseconds: UInt64 = 30 * 86_400_000
  /// The most deadlines that one block acts on; the rest stays due for the next.
  public static let maximumDeadlinesPerBlock = 4_096
  /// The most pending jobs that one block tries to assign; the next goes on after them.
  public static let maximumDrawsPerBlock = 1_000
  /// The most executed blocks above the final tip. To make room, the lowest one without a child is forgotten; it
  /// may be executed again.
  public static let maximumOverlays = 1_024
}
