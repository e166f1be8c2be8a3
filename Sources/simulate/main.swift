// The simulator alone, without the daemon's dependencies: what `make mutants` builds once for each planted fault.
// `simulate FIRST LAST [--transcript]` runs the seeds with faults, and ends with 1 at the first violation.

import Glibc
import Primitives
import Simulator

let words = CommandLine.arguments.dropFirst()
let numbers = words.compactMap { UInt64($0) }
guard numbers.count == 2, numbers[0] <= numbers[1] else {
  print("usage: simulate FIRST LAST [--calm] [--transcript]")
  exit(2)
}
for seed in numbers[0]...numbers[1] {
  var options = SimulationOptions()
  options.seed = seed
  if !words.contains("--calm") { options.faults = .swarm(seed: seed) }
  let report = options.run(recordsTranscript: words.contains("--transcript"))
  for line in report.lines { print(line) }
  print("seed \(seed): height \(report.finalizedHeight), \(report.steps) steps, \(report.transcriptHash)")
  for violation in report.violations {
    print("invariant \(violation.invariant) at \(violation.at): \(violation.detail)")
  }
  if !report.violations.isEmpty { exit(1) }
}
