// The simulator alone, without the daemon's dependencies: what `make mutants` builds once for each planted fault.
// `simulate FIRST LAST` runs seeds of the hostile profile, and ends with 1 at the first violation.

import Glibc
import Primitives
import Simulator

let words = CommandLine.arguments.dropFirst()
let numbers = words.prefix(2).compactMap { UInt64($0) }
guard numbers.count == 2, numbers[0] <= numbers[1] else {
  print("usage: simulate FIRST LAST [--calm] [--byzantine K] [--nodes N] [--scenario NAME] [--transcript]")
  exit(2)
}

/// The word after an option.
func value(of option: String) -> String? {
  words.firstIndex(of: option).flatMap { words.index(after: $0) < words.endIndex ? words[$0 + 1] : nil }
}

for seed in numbers[0]...numbers[1] {
  var options = SimulationOptions(seed: seed, profile: words.contains("--calm") ? .lan : .hostile)
  options.byzantine = value(of: "--byzantine").flatMap { Int($0) }
  options.nodes = value(of: "--nodes").flatMap { Int($0) }
  options.scenario = value(of: "--scenario")
  let report = options.run(recordsTranscript: words.contains("--transcript"))
  for line in report.lines { print(line) }
  print(
    "seed \(seed): \(report.nodes) nodes, \(report.byzantine) Byzantine, \(report.elapsed), height "
      + "\(report.finalizedHeight), epoch \(report.epoch), \(report.jobs) jobs, \(report.steps) steps, "
      + "\(report.transcriptHash)")
  for violation in report.violations {
    print("invariant \(violation.invariant) at \(violation.at): \(violation.detail)")
  }
  if !report.violations.isEmpty { exit(1) }
}
