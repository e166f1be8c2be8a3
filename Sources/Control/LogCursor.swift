/// Puts a job's output together from chunks that may come twice, after a broken connection, or begin anew, when the
/// job is run again by another provider.
package struct LogCursor: Sendable {
  /// What a chunk means for who prints.
  package struct Step: Sendable, Equatable {
    /// The bytes to print, without those printed before.
    package var bytes: [UInt8]
    /// Bytes that were skipped before these because the provider did not keep them.
    package var missing: UInt64
    /// Whether this is the first chunk of another attempt than the one printed so far.
    package var isAnotherAttempt: Bool
  }

  private var attempt: Int?
  private var printed: [LogStream: UInt64] = [:]

  /// Nothing printed yet.
  package init() {}

  /// How far every one of `streams` has been printed: what to ask for after a broken connection.
  package func resumeOffset(of streams: [LogStream]) -> UInt64 {
    streams.map { printed[$0, default: 0] }.min() ?? 0
  }

  /// Takes a chunk; nil when it belongs to an attempt that was given up.
  package mutating func take(_ chunk: JobLogChunk) -> Step? {
    var isAnother = false
    if let attempt, chunk.attempt != attempt {
      guard chunk.attempt > attempt else { return nil }
      isAnother = true
      printed = [:]
    }
    attempt = chunk.attempt
    let done = printed[chunk.stream, default: 0]
    let (end, overflow) = chunk.offset.addingReportingOverflow(UInt64(chunk.bytes.count))
    guard !overflow else { return nil }
    guard end > done else { return Step(bytes: [], missing: 0, isAnotherAttempt: isAnother) }
    printed[chunk.stream] = end
    let overlap = done > chunk.offset ? Int(done - chunk.offset) : 0
    return Step(
      bytes: Array(chunk.bytes.dropFirst(overlap)), missing: chunk.offset > done ? chunk.offset - done : 0,
      isAnotherAttempt: isAnother)
  }
}
