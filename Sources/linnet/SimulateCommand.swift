import ArgumentParser
import Control
import Foundation
import Primitives
import Simulator

/// `linnet simulate`
struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run many nodes in virtual time over a network and disks that break, and check what must always hold.",
    discussion: """
      The same options give the same run, event for event. A violation prints the end of its transcript and the command \
      that replays it; --shrink looks for a smaller run that breaks the same. The hostile profile draws nodes, faults, \
      Byzantine nodes and the chain's parameters from each seed.

      Scenarios: \(Scenario.all.map { "\($0.name) (\($0.summary))" }.joined(separator: "; ")).
      """)

  @Option(help: ArgumentHelp("How many validators there are at first.", valueName: "number")) var nodes: Int?
  @Option(help: ArgumentHelp("The seed that everything random comes from.", valueName: "number")) var seed: UInt64 = 1
  @Option(help: ArgumentHelp("Many seeds, one after the other.", valueName: "A..B")) var seeds: String?
  @Option(help: ArgumentHelp("How long the simulated network runs.", valueName: "30s")) var time = "30s"
  @Option(help: ArgumentHelp("lan, wan, or hostile.", valueName: "profile")) var profile = Profile.lan.rawValue
  @Option(help: ArgumentHelp("How many of the validators are Byzantine.", valueName: "number")) var byzantine: Int?
  @Option(help: ArgumentHelp("A scenario instead of drawn faults.", valueName: "name")) var scenario: String?
  @Option(help: ArgumentHelp("End here, and change nothing before.", valueName: "12s")) var until: String?
  @Option(
    help: ArgumentHelp(
      "Faults to leave out, by their numbers in the transcript or by name: \(FaultPlan.names.joined(separator: ", ")).",
      valueName: "list"))
  var without: String?
  @Flag(help: "Make the first failing run smaller.") var shrink = false
  @Option(help: ArgumentHelp("How many seeds at once.", valueName: "number")) var jobs = 1
  @Flag(help: "Print the transcript, too.") var transcript = false
  @Option(
    help: ArgumentHelp(
      "Only the membership and the broadcast of so many nodes: how fast news spreads, and what idling costs.",
      valueName: "number"))
  var members: Int?
  @Option(help: ArgumentHelp("With --members: datagrams lost.", valueName: "5%")) var loss: String?
  @Option(help: ArgumentHelp("With --members: nodes that stop for seconds now and then.", valueName: "2%"))
  var slow: String?
  @Flag(help: "With --members: the network is only watched for --time, and nothing happens.") var calm = false
  @OptionGroup var format: FormatOptions

  func validate() throws {
    if let mistake = try scale()?.mistake { throw ValidationError(mistake) }
    guard members != nil || (loss == nil && slow == nil && !calm) else {
      throw ValidationError("--loss, --slow and --calm go with --members")
    }
    guard (1...64).contains(jobs) else { throw ValidationError("--jobs must be 1 to 64") }
    guard Profile(rawValue: profile) != nil else {
      throw ValidationError("there is no profile '\(profile)': it is lan, wan or hostile")
    }
    _ = try range()
    if let mistake = try options(seed: seed).mistake { throw ValidationError(mistake) }
  }

  private func range() throws -> ClosedRange<UInt64> {
    guard let seeds else { return seed...seed }
    let ends = seeds.split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
    guard seeds.contains(".."), ends.count == 2, ends[0] <= ends[1] else {
      throw ValidationError("'\(seeds)' is not a range of seeds such as 1..200")
    }
    return ends[0]...ends[1]
  }

  /// A time in virtual time: `30s`, `2m`, `1500ms`, `1500000us`.
  private func span(_ text: String) throws -> Microseconds {
    for (unit, factor) in [("us", Int64(1)), ("ms", 1_000)] where text.hasSuffix(unit) {
      if let count = Int64(text.dropLast(2)), count > 0, count <= 86_400_000_000 / factor {
        return Microseconds(count * factor)
      }
    }
    guard let seconds = Quantity.seconds(text), (1...86_400).contains(seconds) else {
      throw ValidationError("'\(text)' is not a time up to 24h, such as 30s or 1500ms")
    }
    return .seconds(Int64(seconds))
  }

  private func options(seed: UInt64) throws -> SimulationOptions {
    var options = SimulationOptions(seed: seed, profile: Profile(rawValue: profile) ?? .lan)
    options.nodes = nodes
    options.byzantine = byzantine
    options.duration = try span(time)
    options.until = try until.map { .zero + (try span($0)) }
    options.scenario = scenario
    options.without = without?.split(separator: ",").map(String.init) ?? []
    return options
  }

  /// The simulation of many members; nil when it was not asked for.
  private func scale() throws -> ScaleOptions? {
    guard let members else { return nil }
    var options = ScaleOptions(count: members)
    options.seed = seed
    options.lossPartsPerMillion = try share(loss, of: "--loss")
    options.slowPartsPerMillion = try share(slow, of: "--slow")
    options.idle = try span(time)
    options.hasEvents = !calm
    return options
  }

  /// A share in whole percent, in a million.
  private func share(_ text: String?, of option: String) throws -> UInt64 {
    guard let text else { return 0 }
    guard let percent = UInt64(text.hasSuffix("%") ? String(text.dropLast()) : text), percent <= 100 else {
      throw ValidationError("\(option) is '\(text)' and must be a percentage such as 5%")
    }
    return percent * 10_000
  }

  private func show(_ report: ScaleReport) throws {
    if format.json { return try Console.print(json: report) }
    for line in report.lines { try Console.print(line + "\n") }
  }

  private struct Answer: Encodable {
    struct Found: Encodable {
      var invariant: Int
      var atSeconds: Double
      var detail: String
    }

    var seed: UInt64
    var nodes: Int
    var byzantine: Int
    var virtualSeconds: Double
    var steps: UInt64
    var transcriptHash: String
    var finalizedHeight: UInt64
    var epoch: UInt64
    var jobs: Int
    var violations: [Found]

    init(_ report: SimulationReport) {
      seed = report.options.seed
      nodes = report.nodes
      byzantine = report.byzantine
      virtualSeconds = Double(report.elapsed.count) / 1_000_000
      steps = report.steps
      transcriptHash = report.transcriptHash.description
      finalizedHeight = report.finalizedHeight
      epoch = report.epoch
      jobs = report.jobs
      violations = report.violations.map {
        Found(invariant: $0.invariant, atSeconds: Double($0.at.microseconds) / 1_000_000, detail: $0.detail)
      }
    }
  }

  func run() async throws {
    if let options = try scale() { return try show(options.run()) }
    let range = try range()
    var failed = 0
    var virtual = Microseconds.zero
    var firstFailure: SimulationReport?
    let wantsLines = transcript
    try await withThrowingTaskGroup(of: (UInt64, SimulationReport).self) { group in
      var next = range.lowerBound
      var reports: [UInt64: SimulationReport] = [:]
      var shown = range.lowerBound
      func begin() throws {
        guard range.contains(next) else { return }
        let seed = next
        let options = try options(seed: seed)
        next += 1
        group.addTask { (seed, options.run(recordsTranscript: wantsLines)) }
      }
      for _ in 0..<jobs { try begin() }
      while let (seed, report) = try await group.next() {
        reports[seed] = report
        try begin()
        // In the order of seeds, whichever is done first.
        while let report = reports.removeValue(forKey: shown) {
          shown += 1
          virtual = virtual + report.elapsed
          if !report.violations.isEmpty {
            failed += 1
            firstFailure = firstFailure ?? report
          }
          try show(report)
        }
      }
    }
    if range.count > 1, !format.json {
      try Console.print(
        "\(range.count) seeds, \(range.count - failed) passed, \(failed) failed, "
          + "\(virtual.count / 3_600_000_000) h \(virtual.count / 60_000_000 % 60) min of virtual time\n")
    }
    if shrink, let firstFailure { try shrink(firstFailure) }
    if failed > 0 { throw ExitCode(1) }
  }

  private func shrink(_ failing: SimulationReport) throws {
    guard var shrinker = Shrinker(failing, report: { try? Console.print("  \($0)\n") }) else { return }
    try Console.print("shrinking seed \(failing.options.seed):\n")
    shrinker.shrink()
    try show(shrinker.smallest)
  }

  private func show(_ report: SimulationReport) throws {
    if format.json { return try Console.print(json: Answer(report)) }
    if transcript || !report.violations.isEmpty {
      for line in report.lines.suffix(report.violations.isEmpty ? .max : 200) { try Console.print(line + "\n") }
    }
    try Console.print(
      "seed \(report.options.seed): \(report.violations.isEmpty ? "passed" : "FAILED"), \(report.nodes) nodes, "
        + "\(report.byzantine) Byzantine, \(report.elapsed), height \(report.finalizedHeight), epoch \(report.epoch), "
        + "\(report.jobs) jobs, \(report.steps) steps, transcript \(report.transcriptHash)\n")
    for violation in report.violations {
      let name = violation.invariant == 0 ? "scenario" : "invariant \(violation.invariant)"
      try Console.print("  \(name) at \(violation.at): \(violation.detail)\n")
    }
    guard !report.violations.isEmpty else { return }
    try Console.print("replay: linnet simulate \(report.options.arguments.joined(separator: " "))\n")
  }
}
