/// The rules in force, for people and programs.
package struct SwitchRulesView: Sendable, Equatable, Codable {
  /// What is set for a host.
  package struct HostRule: Sendable, Equatable, Codable {
    /// Counted from 1.
    package var host: Int
    /// What holds for all that it sends and receives.
    package var condition: SwitchCondition
  }

  /// What is set for a path.
  package struct PathRule: Sendable, Equatable, Codable {
    /// Who sends.
    package var from: Int
    /// Who receives.
    package var to: Int
    /// What holds in this direction.
    package var condition: SwitchCondition
  }

  /// What holds where nothing else is set.
  package var all = SwitchCondition()
  /// Hosts with settings of their own.
  package var hosts: [HostRule] = []
  /// Paths with settings of their own.
  package var paths: [PathRule] = []
  /// The groups that cannot reach each other, without the group of those that none names; empty when all are one.
  package var partition: [[Int]] = []
  /// Directions that are open while the way back is not.
  package var oneWay: [SwitchPath] = []
  /// Hosts that receive nothing.
  package var deaf: [Int] = []
  /// Hosts whose packets go nowhere.
  package var mute: [Int] = []

  /// No rule.
  package init() {}
}
