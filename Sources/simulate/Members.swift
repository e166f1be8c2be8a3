import Glibc
import Primitives
import Simulator

/// `simulate --members N`: the membership of very many nodes.
func simulateMembers(_ count: Int) {
  var options = ScaleOptions(count: count)
  options.seed = UInt64(number(of: "--seed") ?? 1)
  options.lossPartsPerMillion = UInt64(number(of: "--loss") ?? 0) * 10_000
  options.slowPartsPerMillion = UInt64(number(of: "--slow") ?? 0) * 10_000
  if let seconds = number(of: "--idle") { options.idle = .seconds(Int64(seconds)) }
  options.hasEvents = !words.contains("--calm")
  if let mistake = options.mistake { refuse(mistake) }
  let start = ContinuousClock.now
  let report = options.run()
  for line in report.lines { print(line) }
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
  print("\(seconds) s of CPU time in \(start.duration(to: .now)), \(usage.ru_maxrss / 1_024) MiB at most")
}
