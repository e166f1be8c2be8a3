/// What keeps jobs away from this host, as the offer tells it.
package struct Isolation: Sendable, Equatable, CustomStringConvertible {
  /// Whether each job has a user id of its own.
  package let mode: SandboxMode
  /// What enforces limits.
  package let limits: LimitKind

  /// Both words, as in `root, cgroup1`.
  package var description: String { "\(mode.rawValue), \(limits.rawValue)" }
}
