// The simulator alone, without the daemon's dependencies: what `make mutants` builds once for each planted fault.
// `simulate FIRST LAST` runs seeds of the hostile profile, and ends with 1 at the first violation.

import Glibc
import Primitives
import Simulator

let words = Array(CommandLine.arguments.dropFirst())

/// The word after an option.
func value(of option: String) -> String? {
  guard let at = words.firstIndex(of: option), at + 1 < words.count else { return nil }
  return words[at + 1]
}

/// The number after an option.
func number(of option: String) -> Int? {
  guard let text = value(of: option) else { return nil }
  guard let number = Int(text) else { refuse("\(option) takes a number, not '\(text)'") }
  return number
}

func refuse(_ mistake: String) -> Never {
  print("simulate: \(mistake)")
  exit(2)
}

if let count = number(of: "--members") {
  simulateMembers(count)
  exit(0)
}
let numbers = words.prefix(2).compactMap { UInt64($0) }
guard numbers.count == 2, numbers[0] <= numbers[1] else {
  print(
    """
    usage: simulate FIRST LAST [--calm] [--nodes N] [--byzantine K] [--scenario NAME] [--without LIST] [--transcript]
                    [--all] [--shrink]
           simulate --members N [--seed N] [--loss PERCENT] [--slow PERCENT] [--idle SECONDS] [--calm]
    """)
  exit(2)
}

var failures: [SimulationReport] = []
for seed in numbers[0]...numbers[1] {
  var options = SimulationOptions(seed: seed, profile: words.contains("--calm") ? .lan : .hostile)
  options.byzantine = number(of: "--byzantine")
  options.nodes = number(of: "--nodes")
  options.scenario = value(of: "--scenario")
  options.without = value(of: "--without")?.split(separator: ",").map(String.init) ?? []
  if let mistake = options.mistake { refuse(mistake) }
  let report = options.run(recordsTranscript: words.contains("--transcript"))
  if !words.contains("--all") { for line in report.lines { print(line) } }
  print(
    "seed \(seed): \(report.nodes) nodes, \(report.byzantine) Byzantine, \(report.elapsed), height "
      + "\(report.finalizedHeight), epoch \(report.epoch), \(report.jobs) jobs, \(report.steps) steps, "
      + "\(report.transcriptHash)")
  for violation in report.violations {
    print("invariant \(violation.invariant) at \(violation.at): \(violation.detail)")
  }
  guard !report.violations.isEmpty else { continue }
  failures.append(report)
  if !words.contains("--all") { break }
}
if let failing = failures.first {
  if words.contains("--shrink"), var shrinker = Shrinker(failing, report: { print("  \($0)") }) {
    shrinker.shrink()
    for line in shrinker.smallest.lines { print(line) }
    print("replay: linnet simulate \(shrinker.smallest.options.arguments.joined(separator: " "))")
  }
  exit(1)
}
