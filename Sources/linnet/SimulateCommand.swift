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
      The same seed and options give the same run, event for event. A violation prints the command that replays it and \
      the end of its transcript. With --faults each seed draws its own mixture of faults; the other options then set \
      single ones.
      """)

  @Option(help: ArgumentHelp("How many nodes.", valueName: "number")) var nodes = 4
  @Option(help: ArgumentHelp("The seed that everything random comes from.", valueName: "number")) var seed: UInt64 = 1
  @Option(help: ArgumentHelp("Many seeds, one after the other.", valueName: "A..B")) var seeds: String?
  @Option(help: ArgumentHelp("How long the simulated network runs.", valueName: "30s")) var time = "30s"
  @Flag(help: "Draw a mixture of faults from each seed.") var faults = false
  @Option(help: ArgumentHelp("Datagrams lost, in percent.", valueName: "percent")) var loss: Double?
  @Option(help: ArgumentHelp("Datagrams doubled, in percent.", valueName: "percent")) var duplication: Double?
  @Option(help: ArgumentHelp("Datagrams with a changed byte, in percent.", valueName: "percent"))
  var corruption: Double?
  @Option(help: ArgumentHelp("Nodes that crash and start again.", valueName: "number")) var crashes: UInt64?
  @Option(help: ArgumentHelp("Crashes of all nodes at once.", valueName: "number")) var blackouts: UInt64?
  @Option(help: ArgumentHelp("Times that the network is split in two.", valueName: "number")) var partitions: UInt64?
  @Option(help: ArgumentHelp("How many seeds at once.", valueName: "number")) var jobs = 1
  @Flag(help: "Print the transcript, too.") var transcript = false
  @OptionGroup var format: FormatOptions

  func validate() throws {
    guard (1...100).contains(nodes) else { throw ValidationError("--nodes must be 1 to 100") }
    guard (1...64).contains(jobs) else { throw ValidationError("--jobs must be 1 to 64") }
    _ = try range()
    _ = try duration()
  }

  private func range() throws -> ClosedRange<UInt64> {
    guard let seeds else { return seed...seed }
    let ends = seeds.split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
    guard seeds.contains(".."), ends.count == 2, ends[0] <= ends[1] else {
      throw ValidationError("'\(seeds)' is not a range of seeds such as 1..200")
    }
    return ends[0]...ends[1]
  }

  private func duration() throws -> Microseconds {
    guard let seconds = Quantity.seconds(time), (1...86_400).contains(seconds) else {
      throw ValidationError("'\(time)' is not a time from 1s to 24h")
    }
    return .seconds(Int64(seconds))
  }

  private func options(seed: UInt64) throws -> SimulationOptions {
    func parts(_ percent: Double) -> UInt64 { UInt64((max(0, min(100, percent)) * 10_000).rounded()) }
    var options = SimulationOptions()
    options.nodes = nodes
    options.seed = seed
    options.duration = try duration()
    if faults { options.faults = .swarm(seed: seed) }
    if let loss { options.faults.lossPartsPerMillion = parts(loss) }
    if let duplication { options.faults.duplicationPartsPerMillion = parts(duplication) }
    if let corruption { options.faults.corruptionPartsPerMillion = parts(corruption) }
    if let crashes { options.faults.crashes = crashes }
    if let blackouts { options.faults.blackouts = blackouts }
    if let partitions { options.faults.partitions = partitions }
    return options
  }

  private struct Answer: Encodable {
    struct Found: Encodable {
      var invariant: Int
      var atSeconds: Double
      var detail: String
    }

    var seed: UInt64
    var nodes: Int
    var virtualSeconds: Double
    var steps: UInt64
    var transcriptHash: String
    var finalizedHeight: UInt64
    var violations: [Found]

    init(_ report: SimulationReport) {
      seed = report.options.seed
      nodes = report.options.nodes
      virtualSeconds = Double(report.options.duration.count) / 1_000_000
      steps = report.steps
      transcriptHash = report.transcriptHash.description
      finalizedHeight = report.finalizedHeight
      violations = report.violations.map {
        Found(
          invariant: $0.invariant, atSeconds: Double($0.at.microseconds) / 1_000_000, detail: $0.detail)
      }
    }
  }

  func run() async throws {
    let all = try range().map { try options(seed: $0) }
    var failed = 0
    let wantsLines = transcript
    try await withThrowingTaskGroup(of: (Int, SimulationReport).self) { group in
      var next = 0
      var reports: [Int: SimulationReport] = [:]
      var shown = 0
      func begin() {
        guard next < all.count else { return }
        let index = next
        let options = all[index]
        next += 1
        group.addTask { (index, options.run(recordsTranscript: wantsLines)) }
      }
      for _ in 0..<jobs { begin() }
      while let (index, report) = try await group.next() {
        reports[index] = report
        begin()
        // In the order of seeds, whichever is done first.
        while let report = reports.removeValue(forKey: shown) {
          shown += 1
          if !report.violations.isEmpty { failed += 1 }
          try show(report)
        }
      }
    }
    if all.count > 1, !format.json {
      try Console.print("\(all.count) seeds, \(all.count - failed) passed, \(failed) failed\n")
    }
    if failed > 0 { throw ExitCode(1) }
  }

  private func show(_ report: SimulationReport) throws {
    if format.json { return try Console.print(json: Answer(report)) }
    if transcript || !report.violations.isEmpty {
      for line in report.lines.suffix(report.violations.isEmpty ? .max : 200) { try Console.print(line + "\n") }
    }
    try Console.print(
      "seed \(report.options.seed): \(report.violations.isEmpty ? "passed" : "FAILED"), "
        + "height \(report.finalizedHeight), \(report.steps) steps, transcript \(report.transcriptHash)\n")
    for violation in report.violations {
      try Console.print("  invariant \(violation.invariant) at \(violation.at): \(violation.detail)\n")
    }
    guard !report.violations.isEmpty else { return }
    var command = "linnet simulate --nodes \(nodes) --seed \(report.options.seed) --time \(time)"
    if faults { command += " --faults" }
    for (name, value) in [("loss", loss), ("duplication", duplication), ("corruption", corruption)] {
      if let value { command += " --\(name) \(value)" }
    }
    for (name, value) in [("crashes", crashes), ("blackouts", blackouts), ("partitions", partitions)] {
      if let value { command += " --\(name) \(value)" }
    }
    try Console.print("replay: \(command)\n")
  }
}
