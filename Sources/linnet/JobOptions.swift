import ArgumentParser
import Control

/// What a job is: shared by `linnet run` and `linnet job submit`.
struct JobOptions: ParsableArguments {
  @Option(
    name: .customLong("cpu-milli"),
    help: ArgumentHelp("Thousandths of a CPU.", valueName: "n"))
  var cpuMilli: UInt32 = JobSubmission.defaultCPUMilli

  @Option(help: ArgumentHelp("Memory limit, such as 512M (default 256M).", valueName: "size"))
  var memory: String?

  @Option(help: ArgumentHelp("Disk limit, such as 2G (default 256M).", valueName: "size"))
  var disk: String?

  @Option(help: ArgumentHelp("GPUs of its own.", valueName: "n"))
  var gpu: UInt32 = 0

  @Option(help: ArgumentHelp("Stop it after this time, such as 60s or 2h (default 10m).", valueName: "time"))
  var wall: String?

  @Option(help: ArgumentHelp("The most credits that it may cost.", valueName: "credits"))
  var maxPrice: String?

  @Option(
    name: [.customShort("i"), .customLong("input")],
    help: ArgumentHelp(
      "A file or directory that appears as /in/<name>; may be repeated.", valueName: "path or name=path"))
  var inputs: [String] = []

  @Option(
    name: [.customShort("e"), .customLong("env")],
    help: ArgumentHelp("An environment variable of the job; may be repeated.", valueName: "name=value"))
  var variables: [String] = []

  @Option(
    name: .customLong("label"),
    help: ArgumentHelp("A label that the provider must carry; may be repeated.", valueName: "name=value"))
  var labels: [String] = []

  @Flag(help: "Allow the node itself to run it.")
  var here = false

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The command and its arguments, after --.", valueName: "command"))
  var words: [String] = []

  func validate() throws {
    guard !words.isEmpty else { throw ValidationError("no command: end with -- COMMAND ARGUMENTS") }
    _ = try submission(inputs: [])
  }

  /// Sends the inputs and submits the job; returns its id.
  func submit(to client: ControlClient) async throws -> String {
    var sent: [JobInput] = []
    let upload = Upload(client: client)
    for input in inputs { sent.append(try await upload.input(input)) }
    return try await client.submitJob(try submission(inputs: sent)).id
  }

  private func submission(inputs: [JobInput]) throws -> JobSubmission {
    var submission = JobSubmission(
      command: words, inputs: inputs, cpuMilli: cpuMilli, gpus: gpu, excludeSelf: !here)
    submission.memoryBytes = try read(memory, "--memory", Quantity.bytes) ?? submission.memoryBytes
    submission.diskBytes = try read(disk, "--disk", Quantity.bytes) ?? submission.diskBytes
    submission.wallLimitSeconds =
      try read(wall, "--wall") { Quantity.seconds($0).flatMap(UInt32.init(exactly:)) } ?? submission.wallLimitSeconds
    submission.maximumPriceMicrocredits = try read(maxPrice, "--max-price", Quantity.microcredits)
    submission.environment = try pairs(variables, "-e")
    submission.labels = try pairs(labels, "--label")
    do {
      try submission.check()
    } catch let error as ControlError {
      throw ValidationError(error.detail)
    }
    return submission
  }

  private func read<Value>(_ text: String?, _ option: String, _ parse: (String) -> Value?) throws -> Value? {
    guard let text else { return nil }
    guard let value = parse(text) else { throw ValidationError("\(option) does not understand '\(text)'") }
    return value
  }

  private func pairs(_ texts: [String], _ option: String) throws -> [String: String] {
    var pairs: [String: String] = [:]
    for text in texts {
      guard let (name, value) = JobArguments.pair(text) else {
        throw ValidationError("\(option) takes NAME=VALUE, not '\(text)'")
      }
      pairs[name] = value
    }
    return pairs
  }
}
