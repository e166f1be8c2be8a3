import Blobs
import Control
import Core
import Ledger
import Primitives
import Wire

// What jobs print and leave, and blobs.

extension NodeControl {
  private static let logTimeoutSeconds = 10.0

  func jobLogs(id: String, _ request: JobLogRequest) async throws -> PullStream<JobLogChunk> {
    let job = try await resolveJob(id)
    let known = try await answer(job)
    let own = "\(node.id)"
    guard known.submitter == own || known.leases.contains(where: { $0.provider == own }) else {
      throw ControlError.conflict(
        code: "notTheSubmitter", "what a job prints is for the node that submitted it",
        suggestion: "ask the node \(known.submitter)")
    }
    let cursor = LogFollower(control: self, job: job, request: request)
    return PullStream { try await cursor.next() }
  }

  /// A part of a lease's output stream, from the provider or from here.
  func log(_ request: LogRequest, of provider: NodeID) async -> LogAnswer? {
    if provider == node.id { return await node.shell.runner.value?.log(request) }
    guard await node.reacher.reach(provider),
      let bytes = try? await node.hub.ask(
        .log, request.encoded, of: provider, timeoutSeconds: Self.logTimeoutSeconds)
    else { return nil }
    return try? LogAnswer(decoding: bytes)
  }

  /// The leases of a job in the order of attempts, and whether the job has ended.
  func leases(of job: Digest) async -> (leases: [LeaseRecord], hasEnded: Bool)? {
    let known = await knownJobs()
    if let record = known.record(job) { return (record.leases, record.state.isTerminal) }
    return known.answer(job)?.state == .pending ? nil : ([], true)
  }

  func jobOutput(id: String) async throws -> Control.DirectoryManifest {
    let root = try await fetchOutput(id)
    return Control.DirectoryManifest(root: "\(root)", entries: try flatten(root))
  }

  func jobOutputFile(id: String, path: String) async throws -> ByteStream {
    let root = try await fetchOutput(id)
    let entries = try flatten(root)
    guard let entry = entries.first(where: { $0.path == path }) else {
      throw ControlError.unknown("file", path, suggestion: "`linnet job get` lists the output")
    }
    guard entry.kind == .file, let file = entry.root.flatMap({ Digest(hex: $0) }) else {
      throw ControlError.invalid("'\(path)' is no file")
    }
    return stream(file)
  }

  private func fetchOutput(_ id: String) async throws -> Digest {
    let job = try await resolveJob(id)
    let answer = try await answer(job)
    guard let root = answer.outputRoot.flatMap({ Digest(hex: $0) }) else {
      throw ControlError.conflict(
        code: "noOutput", "the job has no output: it is \(answer.state.rawValue)",
        suggestion: "`linnet job wait \(id)` waits for its end")
    }
    let providers = answer.leases.compactMap { NodeID(text: $0.provider) }.filter { $0 != node.id }
    try await fetch(root, from: providers, what: "the output of job \(id)")
    return root
  }

  private func fetch(_ root: Digest, from peers: [NodeID], what: String) async throws {
    if node.store.has(root), node.store.missing(below: root).isEmpty { return }
    do {
      try await node.fetcher.fetch(root, from: peers, pinnedBy: BlobKeeper.fetched)
      node.keeper.noteFetched(root)
    } catch {
      throw ControlError.unavailable(
        code: "blobUnavailable", "\(what) can't be fetched: \(error)",
        suggestion: "is the node that has it alive? `linnet peers`")
    }
  }

  /// All entries of a directory and of those below it. What a provider made may list one directory many times, so
  /// what it grows to is bounded before it is built.
  private func flatten(_ root: Digest) throws -> [DirectoryEntry] {
    var entries: [DirectoryEntry] = []
    try flatten(root, below: "", depth: 0, into: &entries)
    return entries
  }

  private func flatten(
    _ root: Digest, below path: String, depth: Int, into entries: inout [DirectoryEntry]
  ) throws {
    guard depth <= BlobLimits.maximumDepth else {
      throw ControlError.conflict(
        code: "tooDeep", "the directory is more than \(BlobLimits.maximumDepth) directories deep",
        suggestion: "it can't be listed")
    }
    for entry in try node.store.entries(of: root) {
      guard entries.count < Control.DirectoryManifest.maximumEntries else {
        throw ControlError.conflict(
          code: "tooManyEntries",
          "the directory has more than \(Control.DirectoryManifest.maximumEntries) entries",
          suggestion: "let the job pack its output into one file")
      }
      let name = path + String(decoding: entry.name, as: UTF8.self)
      switch entry.content {
      case .file(let file, let size):
        entries.append(
          DirectoryEntry(path: name, root: "\(file)", sizeBytes: size, executable: entry.mode & 0o100 != 0))
      case .directory(let directory, _):
        entries.append(DirectoryEntry(path: name, kind: .directory, root: "\(directory)"))
        try flatten(directory, below: name + "/", depth: depth + 1, into: &entries)
      case .link(let target):
        entries.append(
          DirectoryEntry(path: name, kind: .symlink, target: String(decoding: target, as: UTF8.self)))
      }
    }
  }

  // MARK: - Blobs

  func addBlob(_ content: ByteStream) async throws -> BlobAnswer {
    do {
      let writer = try node.store.writer()
      for try await bytes in content { try writer.write(bytes) }
      let summary = try writer.finish(pinnedBy: BlobKeeper.uploads)
      return BlobAnswer(root: "\(summary.root)", sizeBytes: summary.size)
    } catch let error as BlobError {
      throw ControlError.unavailable(
        code: "blobStore", "the blob can't be stored: \(error)", suggestion: "see [blobs] maximum_bytes in node.conf")
    }
  }

  func blob(root: String) async throws -> ByteStream {
    guard let digest = Digest(hex: root) else {
      throw ControlError.invalid("'\(root)' is no blob root", suggestion: "a root has 64 hexadecimal digits")
    }
    try await fetch(digest, from: [], what: "the blob")
    guard node.store.summary(of: digest)?.kind == .file else {
      throw ControlError.invalid("the blob is a directory", suggestion: "ask for the files in it")
    }
    return stream(digest)
  }

  func directory(root: String) async throws -> Control.DirectoryManifest {
    guard let digest = Digest(hex: root) else {
      throw ControlError.invalid("'\(root)' is no blob root", suggestion: "a root has 64 hexadecimal digits")
    }
    try await fetch(digest, from: [], what: "the directory")
    guard node.store.summary(of: digest)?.kind == .directory else {
      throw ControlError.invalid("the blob is no directory", suggestion: "`linnet blob get` fetches a file")
    }
    return Control.DirectoryManifest(root: root, entries: try flatten(digest))
  }

  private func stream(_ root: Digest) -> ByteStream {
    let store = node.store
    let count = BlobTree.chunkCount(size: store.size(of: root) ?? 0)
    let position = Position()
    return PullStream {
      guard let index = position.next(below: count) else { return nil }
      return try store.read(root, chunk: index).bytes
    }
  }

  func addDirectory(_ manifest: Control.DirectoryManifest) async throws -> BlobAnswer {
    let tree = try DirectoryTree(manifest)
    do {
      let summary = try tree.store(in: node.store, pinnedBy: BlobKeeper.uploads)
      return BlobAnswer(root: "\(summary.root)", sizeBytes: summary.size)
    } catch let error as BlobError {
      throw ControlError.invalid("the directory can't be made: \(error)", suggestion: "upload its files first")
    }
  }
}
