import Control
import Ledger
import Primitives
import Wire

/// Reads a job's output streams from whichever node runs it, attempt by attempt, for one client.
actor LogFollower {
  private static let shortestPauseSeconds = 0.02
  private static let longestPauseSeconds = 0.4
  /// A provider that does not answer this often is given up, so that an end without its logs is an end.
  private static let maximumSilences = 5

  private let control: NodeControl
  private let job: Digest
  private let follow: Bool
  private let streams: [LogStream]
  private var offsets: [LogStream: UInt64] = [:]
  private var complete = Set<LogStream>()
  private var lease: Digest?
  private var finished = Set<Digest>()
  private var pause = shortestPauseSeconds
  private var silences = 0
  private let firstOffset: UInt64
  private var turn = 0

  init(control: NodeControl, job: Digest, request: JobLogRequest) {
    self.control = control
    self.job = job
    follow = request.follow
    streams = request.stream.map { [$0] } ?? LogStream.allCases
    firstOffset = request.offset
  }

  /// The next part; nil at the end.
  func next() async throws -> JobLogChunk? {
    while !Task.isCancelled {
      guard let (leases, hasEnded) = await control.leases(of: job) else {
        guard follow else { return nil }
        await rest()
        continue
      }
      guard let current = choose(leases) else {
        if hasEnded || !follow { return nil }
        await rest()
        continue
      }
      if let chunk = await read(current) { return chunk }
      let isOver = current.state.isOver
      if complete.count == streams.count || isOver && silences > LogFollower.maximumSilences {
        finished.insert(current.id)
        if !follow, leases.last?.id == current.id { return nil }
        continue
      }
      if !follow, silences == 0 { return nil }
      if !follow, silences > LogFollower.maximumSilences { return nil }
      await rest()
    }
    return nil
  }

  /// The lease to read: the earliest that has run and is not read to its end. An attempt that never ran has no logs.
  private func choose(_ leases: [LeaseRecord]) -> LeaseRecord? {
    let candidates = leases.filter { !finished.contains($0.id) && $0.startedMilliseconds != nil }
    guard let chosen = candidates.first(where: { $0.id == lease }) ?? candidates.first else { return nil }
    if chosen.id != lease {
      // A later attempt begins at its own beginning.
      let start = lease == nil ? firstOffset : 0
      lease = chosen.id
      complete = []
      silences = 0
      for stream in streams { offsets[stream] = start }
    }
    return chosen
  }

  private func read(_ current: LeaseRecord) async -> JobLogChunk? {
    for _ in streams {
      turn = (turn + 1) % streams.count
      let stream = streams[turn]
      guard !complete.contains(stream) else { continue }
      let offset = offsets[stream] ?? 0
      let request = LogRequest(lease: current.id, isError: stream == .stderr, offset: offset)
      guard let answer = await control.log(request, of: current.provider) else {
        silences += 1
        continue
      }
      silences = 0
      offsets[stream] = answer.nextOffset
      if answer.isComplete, answer.bytes.isEmpty { complete.insert(stream) }
      if !answer.bytes.isEmpty {
        pause = LogFollower.shortestPauseSeconds
        return JobLogChunk(stream: stream, attempt: Int(current.attempt) + 1, offset: offset, bytes: answer.bytes)
      }
    }
    return nil
  }

  private func rest() async {
    await control.node.shell.bell.wait(seconds: pause)
    pause = min(pause * 1.5, LogFollower.longestPauseSeconds)
  }
}
