import Control
import Glibc

/// Prints what a job prints, each stream to our own, each byte once.
struct JobOutput {
  /// How often a broken connection is taken up again while nothing new comes.
  private static let maximumFailures = 20

  let client: ControlClient
  let id: String
  let streams: [LogStream]

  /// Prints until the job has ended (`follow`), or what there is now. A provider that goes away in between is waited
  /// for: the job moves to another.
  func print(from offset: UInt64 = 0, follow: Bool) async throws {
    var cursor = LogCursor()
    var failures = 0
    while true {
      let request = JobLogRequest(
        stream: streams.count == 1 ? streams.first : nil,
        offset: max(offset, cursor.resumeOffset(of: streams)), follow: follow)
      do {
        try await client.jobLogs(id: id, request) { chunk in
          guard streams.contains(chunk.stream), let step = cursor.take(chunk) else { return }
          failures = 0
          if step.isAnotherAttempt { Console.remark("the job runs again on another node; its output begins anew") }
          if step.missing > 0, offset == 0 {
            Console.remark("\(step.missing) bytes of \(chunk.stream.rawValue) were not kept by the provider")
          }
          try Console.write(step.bytes, to: chunk.stream == .stdout ? STDOUT_FILENO : STDERR_FILENO)
        }
        return
      } catch let error as ControlError where follow && error.status >= 500 && failures < Self.maximumFailures {
        failures += 1
        try await Task.sleep(for: .milliseconds(500))
      }
    }
  }
}
