import Primitives

/// Makes a failing run smaller while it breaks the same invariant: the end is moved to the violation, the faults are
/// taken away one by one, then nodes.
package struct Shrinker {
  /// The most runs tried.
  package static let maximumRuns = 400

  private let invariant: Int
  private let report: (String) -> Void
  private var runs = 0
  /// The smallest failing run so far.
  package private(set) var smallest: SimulationReport

  /// - Parameter report: told what is tried, in words.
  package init?(_ failing: SimulationReport, report: @escaping (String) -> Void = { _ in }) {
    guard let violation = failing.violations.first else { return nil }
    invariant = violation.invariant
    smallest = failing
    self.report = report
  }

  /// Shrinks until nothing more can go.
  package mutating func shrink() {
    // Liveness breaks at the end of its bound; everything else when it is seen.
    if ![11, 12, 13, 0].contains(invariant), let at = smallest.violations.first?.at {
      attempt("end at \(at)") { $0.until = at }
    }
    // What a scenario sets stays.
    var hasShrunk = smallest.options.scenario == nil
    while hasShrunk, runs < Shrinker.maximumRuns {
      hasShrunk = false
      for name in smallest.removable where attempt("without \(name)", { $0.without.append(name) }) { hasShrunk = true }
      let fewer = smallest.byzantine - 1
      if fewer >= 0, attempt("\(fewer) Byzantine", { $0.byzantine = fewer }) { hasShrunk = true }
      let validators = smallest.validators
      if validators > 1, attempt("\(validators - 1) validators", { $0.nodes = validators - 1 }) { hasShrunk = true }
    }
  }

  @discardableResult
  private mutating func attempt(_ what: String, _ change: (inout SimulationOptions) -> Void) -> Bool {
    guard runs < Shrinker.maximumRuns else { return false }
    runs += 1
    var options = smallest.options
    change(&options)
    guard options.mistake == nil else { return false }
    let outcome = options.run()
    guard outcome.violations.first?.invariant == invariant else { return false }
    smallest = outcome
    report("\(what): still broken at \(outcome.violations.first?.at ?? .zero)")
    return true
  }
}
