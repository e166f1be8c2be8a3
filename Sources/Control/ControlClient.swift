import NIOHTTP1

/// The control API as seen from a program: one method a route, `ControlError` for everything that goes wrong.
///
/// ```swift
/// let status = try await ControlClient(socketPath: path).status()
/// ```
package struct ControlClient: Sendable {
  /// The most bytes of an answer that is held whole.
  static let maximumAnswerBytes = 67_108_864

  private let http: UnixHTTPClient

  /// A client of the daemon at `socketPath`; nothing is opened yet.
  package init(socketPath: String) {
    http = UnixHTTPClient(socketPath: socketPath)
  }

  /// Where the daemon's socket is.
  package var socketPath: String { http.socketPath }

  // MARK: node

  /// `GET /v1/status`
  package func status() async throws -> StatusAnswer { try await get("/v1/status") }
  /// `GET /v1/peers`
  package func peers() async throws -> [PeerAnswer] { try await get("/v1/peers") }
  /// `GET /v1/peers/{id}`
  package func peer(id: String) async throws -> PeerDetailAnswer { try await get("/v1/peers/\(segment(id))") }
  /// `POST /v1/peers/{id}/ping`: calls `each` for every answer as it comes.
  package func ping(
    id: String, _ request: PeerPingRequest = PeerPingRequest(), each: (PingAnswer) async throws -> Void
  ) async throws {
    try request.check()
    try await lines(
      .POST, "/v1/peers/\(segment(id))/ping", .json(try ControlJSON.encode(request)), of: PingAnswer.self, each: each)
  }
  /// `GET /v1/network`; with `dialBack` the node asks a few peers to dial it, which takes seconds.
  package func network(dialBack: Bool = false) async throws -> NetworkAnswer {
    try await get("/v1/network?dialBack=\(dialBack)")
  }
  /// `GET /v1/events`: calls `each` for every event as it comes.
  package func events(
    _ request: EventRequest = EventRequest(), each: (EventAnswer) async throws -> Void
  ) async throws {
    var query = "from=\(request.from)&follow=\(request.follow)"
    let kinds = EventKind.allCases.filter(request.kinds.contains).map(\.rawValue)
    if !kinds.isEmpty { query += "&kind=\(PercentCoding.encode(kinds.joined(separator: ",")))" }
    try await lines(.GET, "/v1/events?\(query)", of: EventAnswer.self, each: each)
  }
  /// `GET /v1/hardware`
  package func hardware() async throws -> RawJSON { RawJSON(bytes: try await bytes(.GET, "/v1/hardware")) }
  /// `GET /v1/configuration`
  package func configuration() async throws -> [ConfigurationEntryAnswer] { try await get("/v1/configuration") }

  /// `POST /v1/invites`
  package func invite(_ request: InviteRequest = InviteRequest()) async throws -> InviteAnswer {
    try await post("/v1/invites", request)
  }

  // MARK: jobs

  /// `POST /v1/jobs`
  package func submitJob(_ submission: JobSubmission) async throws -> SubmissionAnswer {
    try submission.check()
    return try await post("/v1/jobs", submission)
  }
  /// `GET /v1/jobs`
  package func jobs() async throws -> JobListAnswer { try await get("/v1/jobs") }
  /// `GET /v1/jobs/{id}`
  package func job(id: String) async throws -> JobAnswer { try await get("/v1/jobs/\(segment(id))") }
  /// `GET /v1/jobs/{id}/wait`: the job when it has ended, or as it is after `timeoutSeconds` (1 to 60).
  package func waitJob(id: String, timeoutSeconds: UInt32 = 30) async throws -> JobAnswer {
    try await get("/v1/jobs/\(segment(id))/wait?timeoutSeconds=\(timeoutSeconds)")
  }
  /// Asks `waitJob` again until the job has ended.
  package func jobAfterItsEnd(id: String) async throws -> JobAnswer {
    while true {
      let job = try await waitJob(id: id)
      if job.state.isTerminal { return job }
      try Task.checkCancellation()
    }
  }
  /// `GET /v1/jobs/{id}/logs`: calls `each` for every chunk as it comes.
  package func jobLogs(
    id: String, _ request: JobLogRequest = JobLogRequest(), each: (JobLogChunk) async throws -> Void
  ) async throws {
    var query = "offset=\(request.offset)&follow=\(request.follow)"
    if let stream = request.stream { query += "&stream=\(stream.rawValue)" }
    try await lines(.GET, "/v1/jobs/\(segment(id))/logs?\(query)", of: JobLogChunk.self, each: each)
  }
  /// `GET /v1/jobs/{id}/output`
  package func jobOutput(id: String) async throws -> DirectoryManifest {
    try await get("/v1/jobs/\(segment(id))/output")
  }
  /// `GET /v1/jobs/{id}/output/file`: calls `each` for every piece of the file.
  package func jobOutputFile(id: String, path: String, each: ([UInt8]) async throws -> Void) async throws {
    try await stream("/v1/jobs/\(segment(id))/output/file?path=\(PercentCoding.encode(path))", each: each)
  }
  /// `POST /v1/jobs/{id}/cancel`
  package func cancelJob(id: String) async throws -> JobAnswer {
    try await decode(.POST, "/v1/jobs/\(segment(id))/cancel", .json([]))
  }

  // MARK: ledger

  /// `GET /v1/account`, or `GET /v1/accounts/{id}`
  package func account(id: String? = nil) async throws -> AccountAnswer {
    try await get(id.map { "/v1/accounts/\(try segment($0))" } ?? "/v1/account")
  }
  /// `POST /v1/transfers`
  package func transfer(_ request: TransferRequest) async throws -> TransactionAnswer {
    try await post("/v1/transfers", request)
  }
  /// `GET /v1/chain`
  package func chainStatus() async throws -> ChainStatusAnswer { try await get("/v1/chain") }
  /// `GET /v1/blocks/{height}`
  package func block(height: UInt64) async throws -> BlockAnswer { try await get("/v1/blocks/\(height)") }
  /// `GET /v1/validators`
  package func validators() async throws -> ValidatorsAnswer { try await get("/v1/validators") }

  // MARK: validator

  /// `GET /v1/validator`
  package func ownValidator() async throws -> OwnValidatorAnswer { try await get("/v1/validator") }
  /// `POST /v1/validator/join`
  package func joinValidators(_ request: StakeRequest) async throws -> ValidatorChangeAnswer {
    try await post("/v1/validator/join", request)
  }
  /// `POST /v1/validator/leave`
  package func leaveValidators() async throws -> ValidatorChangeAnswer {
    try await decode(.POST, "/v1/validator/leave", .json([]))
  }
  /// `POST /v1/validator/rotate`
  package func rotateVoteKey() async throws -> ValidatorChangeAnswer {
    try await decode(.POST, "/v1/validator/rotate", .json([]))
  }

  // MARK: blobs

  /// `POST /v1/blobs`: sends the file piece by piece, as fast as the daemon takes it.
  package func addBlob(_ content: ByteStream) async throws -> BlobAnswer {
    try await decode(.POST, "/v1/blobs", .stream(content))
  }
  /// `GET /v1/blobs/{root}`: calls `each` for every piece of the file.
  package func blob(root: String, each: ([UInt8]) async throws -> Void) async throws {
    try await stream("/v1/blobs/\(segment(root))", each: each)
  }
  /// `POST /v1/directories`
  package func addDirectory(_ manifest: DirectoryManifest) async throws -> BlobAnswer {
    try manifest.check()
    return try await post("/v1/directories", manifest)
  }
  /// `GET /v1/directories/{root}`
  package func directory(root: String) async throws -> DirectoryManifest {
    try await get("/v1/directories/\(segment(root))")
  }

  // MARK: below

  /// A name in a path: an empty one would be another route.
  private func segment(_ text: String) throws -> String {
    guard !text.isEmpty else { throw ControlError.invalid("the id is empty") }
    return PercentCoding.encode(text)
  }

  private func get<Answer: Decodable & Sendable>(_ path: String) async throws -> Answer {
    try await decode(.GET, path, .none)
  }

  private func post<Answer: Decodable & Sendable>(_ path: String, _ body: some Encodable) async throws -> Answer {
    try await decode(.POST, path, .json(try ControlJSON.encode(body)))
  }

  private func decode<Answer: Decodable & Sendable>(
    _ method: HTTPMethod, _ path: String, _ content: UnixHTTPClient.Content
  ) async throws -> Answer {
    let answer = try await bytes(method, path, content)
    do {
      return try ControlJSON.decode(Answer.self, from: answer)
    } catch let error as ControlError {
      throw ControlError(
        code: "answerUnreadable", status: 502, title: "The daemon's answer cannot be read",
        detail: "\(method) \(path): \(error.detail)",
        suggestion: "check that daemon and client have the same version: linnet version", cause: error)
    }
  }

  private func bytes(
    _ method: HTTPMethod, _ path: String, _ content: UnixHTTPClient.Content = .none
  ) async throws -> [UInt8] {
    try await http.exchange(method, path, content: content) { head, body in
      try await Self.refuse(head, body)
      return try await Self.collect(body)
    }
  }

  private func stream(_ path: String, each: ([UInt8]) async throws -> Void) async throws {
    try await http.exchange(.GET, path) { head, body in
      try await Self.refuse(head, body)
      for try await part in body { try await each(part) }
    }
  }

  /// One JSON object a line, as they come.
  private func lines<Element: Decodable>(
    _ method: HTTPMethod, _ path: String, _ content: UnixHTTPClient.Content = .none, of type: Element.Type,
    each: (Element) async throws -> Void
  ) async throws {
    try await http.exchange(method, path, content: content) { head, body in
      try await Self.refuse(head, body)
      var lines = LineSplitter()
      for try await part in body {
        for line in try lines.take(part) {
          if let problem = try? ControlJSON.decode(StreamProblem.self, from: line) { throw problem.problem }
          try await each(try ControlJSON.decode(type, from: line))
        }
      }
    }
  }

  /// Throws the problem that an answer of 300 and above carries.
  private static func refuse(_ head: HTTPResponseHead, _ body: ByteStream) async throws {
    guard head.status.code >= 300 else { return }
    let bytes = try await collect(body)
    if let problem = try? ControlJSON.decode(ControlError.self, from: bytes) { throw problem }
    throw ControlError(
      code: "unknown", status: Int(head.status.code), title: head.status.reasonPhrase,
      detail: "the daemon answered \(head.status.code) \(head.status.reasonPhrase)")
  }

  private static func collect(_ body: ByteStream) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    for try await part in body {
      guard bytes.count + part.count <= maximumAnswerBytes else {
        throw ControlError(
          code: "answerTooLarge", status: 502, title: "The daemon's answer is too large",
          detail: "the answer is larger than \(maximumAnswerBytes) bytes")
      }
      bytes += part
    }
    return bytes
  }
}

/// Cuts a stream of bytes into lines.
struct LineSplitter {
  /// A line longer than this is refused: twice what the longest chunk takes in base64.
  static let maximumLineBytes = 4 * JobLogChunk.maximumBytes

  private var rest: [UInt8] = []

  /// The lines that `part` completes, without their ends; empty lines are left out.
  mutating func take(_ part: [UInt8]) throws -> [[UInt8]] {
    rest += part
    var lines: [[UInt8]] = []
    var start = rest.startIndex
    while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
      if end > start { lines.append(Array(rest[start..<end])) }
      start = end + 1
    }
    rest.removeFirst(start)
    guard rest.count <= Self.maximumLineBytes else {
      throw ControlError(
        code: "answerUnreadable", status: 502, title: "The daemon's answer cannot be read",
        detail: "a line of the answer is longer than \(Self.maximumLineBytes) bytes")
    }
    return lines
  }
}
