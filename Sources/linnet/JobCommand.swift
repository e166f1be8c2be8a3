import ArgumentParser
import Control
import Glibc

/// `linnet job`
struct JobCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "job", abstract: "Submit jobs and follow them.",
    subcommands: [
      Submit.self, List.self, Show.self, Logs.self, Get.self, Cancel.self, Wait.self,
    ])

  /// Which job.
  struct Target: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions
    @Argument(help: "The job's id, or its unique beginning.") var id: String
  }

  /// `linnet job submit`
  struct Submit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Submit a job and print its id.", usage: "linnet job submit [options] -- command [arguments]")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var job: JobOptions

    func run() async throws {
      let id = try await job.submit(to: try connection.client())
      if format.json { return try Console.print(json: SubmissionAnswer(id: id)) }
      try Console.print(id + "\n")
    }
  }

  /// `linnet job list`
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the jobs that the ledger knows, newest first.")

    @OptionGroup var view: ViewOptions

    func run() async throws {
      try await view.show {
        try await $0.jobs()
      } _: {
        Self.render($0, style: $1)
      }
    }

    static func render(_ list: JobListAnswer, style: TextStyle) -> String {
      guard !list.jobs.isEmpty else { return "no jobs\n" }
      var table = TextTable([
        ("ID", .left), ("STATE", .left), ("EXIT", .right), ("PROVIDER", .left), ("PAID", .right), ("SUBMITTED", .left),
        ("COMMAND", .left),
      ])
      for job in list.jobs {
        table.add([
          PeerText.short(job.id), job.state.rawValue, job.exitCode.map(String.init) ?? "-",
          job.leases.last.map { PeerText.short($0.provider) } ?? "-", Quantity.credits(job.priceMicrocredits),
          job.submittedAt.map(PeerText.clock) ?? "-", String(job.command.joined(separator: " ").prefix(40)),
        ])
      }
      return table.rendered(style: style) + (list.omitted > 0 ? "and \(list.omitted) older ones\n" : "")
    }
  }

  /// `linnet job show`
  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a job and its leases.")

    @OptionGroup var target: Target
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let job = try await target.connection.client().job(id: target.id)
      if format.json { return try Console.print(json: job) }
      try Console.print(Self.render(job, style: Console.style))
    }

    static func render(_ job: JobAnswer, style: TextStyle) -> String {
      var fields = TextFields()
      fields.add("job", job.id)
      fields.add("state", job.state.rawValue + (job.reason.map { " (\($0))" } ?? ""))
      fields.add("command", job.command.isEmpty ? nil : job.command.joined(separator: " "))
      fields.add("submitter", job.submitter)
      fields.add("submitted", job.submittedAt?.description)
      fields.add("assigned", job.assignedInBlock.map { "in block \($0)" })
      fields.add("ended", job.settledInBlock.map { "in block \($0)" })
      fields.add("exit code", job.exitCode.map(String.init))
      fields.add("output", job.outputRoot)
      fields.add("paid", Quantity.credits(job.priceMicrocredits) + " credits")
      fields.add("in escrow", Quantity.credits(job.escrowMicrocredits) + " credits")
      guard !job.leases.isEmpty else { return fields.rendered(style: style) }
      var table = TextTable([
        ("ATTEMPT", .right), ("PROVIDER", .left), ("STATE", .left), ("EXIT", .right), ("STARTED", .left),
        ("ENDED", .left), ("REASON", .left),
      ])
      for lease in job.leases {
        table.add([
          "\(lease.attempt)", lease.provider, lease.state.rawValue, lease.exitCode.map(String.init) ?? "-",
          lease.startedAt.map(PeerText.clock) ?? "-", lease.endedAt.map(PeerText.clock) ?? "-",
          lease.reason ?? "-",
        ])
      }
      return fields.rendered(style: style) + "\n" + table.rendered(style: style)
    }
  }

  /// `linnet job logs`
  struct Logs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print what a job printed: its stdout to stdout, its stderr to stderr.")

    @OptionGroup var target: Target
    @Flag(name: .shortAndLong, help: "Go on until the job has ended.") var follow = false
    @Option(help: "Only stdout or stderr.") var stream: LogStream?
    @Option(help: "Leave out this many bytes of each stream.") var offset: UInt64 = 0

    func run() async throws {
      let client = try target.connection.client()
      let output = JobOutput(client: client, id: target.id, streams: stream.map { [$0] } ?? LogStream.allCases)
      try await output.print(from: offset, follow: follow)
    }
  }

  /// `linnet job get`
  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Get what a job wrote to /out: one file to stdout, or all of it into a directory.",
      discussion: "Without a path and without --output it lists the files.")

    @OptionGroup var target: Target
    @OptionGroup var format: FormatOptions
    @Argument(help: "One file of the output.") var path: String?
    @Option(name: .shortAndLong, help: ArgumentHelp("Where to put all of it.", valueName: "directory"))
    var output: String?

    func run() async throws {
      let client = try target.connection.client()
      let id = target.id
      if let path {
        return try await client.jobOutputFile(id: id, path: path) { try Console.write($0, to: STDOUT_FILENO) }
      }
      let manifest = try await client.jobOutput(id: id)
      if let output {
        return try await Download(directory: output).write(manifest) { entry, each in
          try await client.jobOutputFile(id: id, path: entry.path, each: each)
        }
      }
      if format.json { return try Console.print(json: manifest) }
      var table = TextTable([("SIZE", .right), ("PATH", .left)])
      for entry in manifest.entries {
        let size = entry.kind == .file ? Quantity.size(entry.sizeBytes) : "-"
        let mark = entry.kind == .directory ? "/" : entry.target.map { " -> \($0)" } ?? ""
        table.add([size, entry.path + mark])
      }
      try Console.print(table.rendered(style: Console.style))
    }
  }

  /// `linnet job cancel`
  struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Cancel a job that has not ended.")

    @OptionGroup var target: Target
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let job = try await target.connection.client().cancelJob(id: target.id)
      if format.json { return try Console.print(json: job) }
      try Console.print(job.state == .cancelled ? "cancelled\n" : "cancel sent; the job is \(job.state.rawValue)\n")
    }
  }

  /// `linnet job wait`
  struct Wait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Wait until a job has ended, and exit as `linnet run` would have.")

    @OptionGroup var target: Target
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let job = try await target.connection.client().jobAfterItsEnd(id: target.id)
      if format.json { try Console.print(json: job) }
      let (code, message) = RunExit.code(for: job)
      if let message { Console.complain(message) }
      throw ExitCode(code)
    }
  }
}

extension LogStream: ExpressibleByArgument {}
