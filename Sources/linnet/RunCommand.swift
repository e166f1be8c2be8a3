import ArgumentParser
import Control
import Glibc
import Synchronization

/// `linnet run`
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a command on another node as if it ran here.",
    usage: "linnet run [options] -- command [arguments]",
    discussion: """
      Sends the inputs, submits the job, prints its stdout and stderr as they come and exits with its exit code: \
      124 at the wall limit, 137 killed (memory or disk limit, signal 9), 127 when there is no such command, 125 when \
      Linnet could not run it, 130 after Ctrl-C, which cancels the job.
      """)

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var job: JobOptions

  @Option(
    name: [.customShort("o"), .customLong("output")],
    help: ArgumentHelp("Where to put what the job wrote to /out.", valueName: "directory"))
  var output: String?

  @Flag(name: .shortAndLong, help: "Say on stderr which node ran it, in which block, at what cost.")
  var verbose = false

  func run() async throws {
    let submitted = Mutex<String?>(nil)
    let work = Task { try await perform { id in submitted.withLock { $0 = id } } }
    let interruption = Interruption { work.cancel() }
    let outcome = await work.result
    let id = submitted.withLock { $0 }
    switch outcome {
    case .success(let code):
      throw ExitCode(code)
    case .failure(let error):
      let isClosed = error is OutputClosed
      if let id, interruption.hasHappened || isClosed { await cancel(id) }
      if interruption.hasHappened { throw ExitCode(RunExit.interrupted) }
      if isClosed { throw error }
      guard let failure = Failure(error) else { throw error }
      failure.report()
      if let id { Console.remark("the job may go on: linnet job show \(id)") }
      throw ExitCode(RunExit.couldNotRun)
    }
  }

  private func perform(submitted: (String) -> Void) async throws -> Int32 {
    let client = try connection.client()
    let id = try await job.submit(to: client)
    submitted(id)
    if verbose { Console.remark("job \(id) submitted") }
    try await JobOutput(client: client, id: id, streams: LogStream.allCases).print(follow: true)
    let ended = try await client.jobAfterItsEnd(id: id)
    if let output, ended.outputRoot != nil {
      try await Download(directory: output).write(try await client.jobOutput(id: id)) { entry, each in
        try await client.jobOutputFile(id: id, path: entry.path, each: each)
      }
    }
    let (code, message) = RunExit.code(for: ended)
    if let message { Console.complain(message) }
    if verbose { report(ended) }
    return code
  }

  private func report(_ job: JobAnswer) {
    for lease in job.leases {
      let reason = lease.reason.map { " (\($0))" } ?? ""
      Console.remark("attempt \(lease.attempt) on \(lease.provider): \(lease.state.rawValue)\(reason)")
    }
    let assigned = job.assignedInBlock.map { "assigned in block \($0), " } ?? ""
    let settled = job.settledInBlock.map { " in block \($0)" } ?? ""
    Console.remark(
      "\(assigned)\(job.state.rawValue)\(settled), cost \(Quantity.credits(job.priceMicrocredits)) credits")
  }

  /// Waits a few seconds for the daemon to take the cancel in.
  private func cancel(_ id: String) async {
    guard let client = try? connection.client() else { return }
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        do {
          _ = try await client.cancelJob(id: id)
        } catch let error as ControlError where error.code == "jobEnded" {
          return
        } catch  where !Task.isCancelled {
          Console.complain("could not cancel the job \(id): \(Failure(error)?.message ?? "\(error)")")
        } catch {}
      }
      group.addTask { try? await Task.sleep(for: .seconds(5)) }
      await group.next()
      group.cancelAll()
    }
  }
}
