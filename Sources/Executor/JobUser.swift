import CLinux
import Glibc

/// A user id of a job's own. The lock on it is held by the job's shim through an inherited descriptor, so that no
/// two live jobs of all daemons on this host share one, and that a dead shim gives its own back.
struct JobUser {
  let id: UInt32
  /// Open on the locked file; the owner closes it once the shim has it.
  let lock: Int32

  static let lockDirectory = "/run/linnet-job-users"

  static func take(_ configuration: ExecutorConfiguration) throws(ExecutorError) -> JobUser {
    try FileAccess.makeDirectory(lockDirectory, mode: 0o700)
    for offset in 0..<configuration.jobUserCount {
      let id = configuration.firstJobUserID + UInt32(offset)
      let path = "\(lockDirectory)/\(id)"
      let file = linnet_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
      guard file >= 0 else { throw FileAccess.failure("open", path, -file) }
      if linnet_lock_file(file) == 0 { return JobUser(id: id, lock: file) }
      close(file)
    }
    throw ExecutorError(
      .tooManyJobs,
      "all \(configuration.jobUserCount) job user ids from \(configuration.firstJobUserID) are in use; "
        + "wait for a job to end or widen the range")
  }
}
