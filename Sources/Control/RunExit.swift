/// What `linnet run` and `linnet job wait` exit with.
package enum RunExit {
  /// The wall limit was reached, as timeout(1) says it.
  package static let wallLimit: Int32 = 124
  /// Linnet could not run the job, as docker(1) says it.
  package static let couldNotRun: Int32 = 125
  /// Ctrl-C, as sh(1) says it: 128 + SIGINT.
  package static let interrupted: Int32 = 130
  /// Killed, by the memory or disk limit or by signal 9: 128 + SIGKILL.
  package static let killed: Int32 = 137

  /// The exit code for a job that has ended, and what to say on stderr when it is not the command's own doing.
  package static func code(for job: JobAnswer) -> (code: Int32, message: String?) {
    switch job.state {
    case .settled: settled(job)
    case .cancelled: (couldNotRun, "the job was cancelled" + because(job))
    case .expired where job.reason == JobReason.noProvider:
      (couldNotRun, "no provider took the job before its start deadline")
    case .expired: (couldNotRun, "the job was refused" + because(job))
    case .refunded: (couldNotRun, "no attempt of the job came to a result; the escrow was refunded" + because(job))
    case .pending, .assigned, .running, .revealing, .judging: (couldNotRun, "the job has not ended yet")
    }
  }

  private static func settled(_ job: JobAnswer) -> (code: Int32, message: String?) {
    switch job.reason {
    case JobReason.wallLimit: return (wallLimit, "the job was stopped at its wall limit")
    case JobReason.memoryLimit: return (killed, "the job was killed at its memory limit")
    case JobReason.diskLimit: return (killed, "the job was killed at its disk limit")
    case JobReason.startFailed:
      return (couldNotRun, "the provider could not start the job: its sandbox failed, or an input could not be fetched")
    case JobReason.lost: return (couldNotRun, "the provider lost track of the job")
    case JobReason.killed:
      return (job.exitCode ?? killed, "the job was killed by a signal")
    default:
      guard let code = job.exitCode else { return (couldNotRun, "the job ended without an exit code" + because(job)) }
      // A process has eight bits of exit code; anything else is not one that the command chose.
      guard (0...255).contains(code) else { return (couldNotRun, "the job ended with the exit code \(code)") }
      return (code, nil)
    }
  }

  private static func because(_ job: JobAnswer) -> String {
    job.reason.map { ": \($0)" } ?? ""
  }
}
