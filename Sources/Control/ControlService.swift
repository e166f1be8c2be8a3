/// What the control API asks of a node: one method a route. The Node target implements it; the server calls it from
/// many tasks at once.
///
/// Ids may arrive abbreviated: an implementation resolves them with `Abbreviation.resolve`. Methods throw
/// `ControlError`; any other error reaches the client as `internal` (500).
package protocol ControlService: Sendable {
  /// The node in one look. Leave `refused` to the node's own counters; the server adds its own.
  func status() async throws -> StatusAnswer
  /// Every peer that membership knows, itself not included, in the order of ids.
  func peers() async throws -> [PeerAnswer]
  /// One peer with the evidence.
  func peer(id: String) async throws -> PeerDetailAnswer
  /// Pings a peer, one answer for each path of each ping as it comes; `request` has passed `check()`.
  func ping(id: String, _ request: PeerPingRequest) async throws -> PullStream<PingAnswer>
  /// How the node stands in the network. With `dialBack` a few peers are asked to dial it, which takes seconds.
  func network(dialBack: Bool) async throws -> NetworkAnswer
  /// What happened in the network around the node. With `follow` the stream does not end by itself; cancelling the
  /// consuming task must end the wait.
  func events(_ request: EventRequest) async throws -> PullStream<EventAnswer>
  /// The hardware report as `Hardware` writes it.
  func hardware() async throws -> RawJSON
  /// Makes an invite to this node's network, and pays for the grant in it: waits a few seconds for that block.
  func invite(_ request: InviteRequest) async throws -> InviteAnswer
  /// The configuration in force.
  func configuration() async throws -> [ConfigurationEntryAnswer]

  /// Signs and spreads a job; `submission` has passed `check()`.
  func submitJob(_ submission: JobSubmission) async throws -> SubmissionAnswer
  /// The jobs that the ledger and the mempool know, newest first, at most `JobListAnswer.maximumJobs`.
  func jobs() async throws -> JobListAnswer
  /// One job. It must be known from the moment that `submitJob` returned its id.
  func job(id: String) async throws -> JobAnswer
  /// Returns the job when it has ended, or as it is when `timeoutSeconds` (1 to 60) have passed.
  func waitJob(id: String, timeoutSeconds: UInt32) async throws -> JobAnswer
  /// What the job printed, from whichever node runs it. With `follow` the stream ends when the job has; cancelling
  /// the consuming task must end the wait.
  func jobLogs(id: String, _ request: JobLogRequest) async throws -> PullStream<JobLogChunk>
  /// What the job left in its output directory: `root` is the job's `outputRoot`.
  func jobOutput(id: String) async throws -> DirectoryManifest
  /// One file of the output directory, fetched from whoever holds it.
  func jobOutputFile(id: String, path: String) async throws -> ByteStream
  /// Signs and spreads a cancel, and returns when the mempool has taken it in; 409 `jobEnded` when it has ended.
  func cancelJob(id: String) async throws -> JobAnswer

  /// An account, the node's own when `id` is nil.
  func account(id: String?) async throws -> AccountAnswer
  /// Pays from the node's own account and waits a few seconds for the block.
  func transfer(_ request: TransferRequest) async throws -> TransactionAnswer

  /// The chain in one look.
  func chainStatus() async throws -> ChainStatusAnswer
  /// A final block.
  func block(height: UInt64) async throws -> BlockAnswer
  /// The validators in force, those to come, and those that were put out.
  func validators() async throws -> ValidatorsAnswer

  /// The node's own standing as a validator.
  func ownValidator() async throws -> OwnValidatorAnswer
  /// Locks credits as the node's stake and waits a few seconds for the block; 409 `stakeEnough` when nothing lacks.
  func joinValidators(_ request: StakeRequest) async throws -> ValidatorChangeAnswer
  /// Gives the membership up and waits a few seconds for the block.
  func leaveValidators() async throws -> ValidatorChangeAnswer
  /// Makes a new vote key, keeps it, tells the ledger and waits a few seconds for the block.
  func rotateVoteKey() async throws -> ValidatorChangeAnswer

  /// Stores a file as it comes in.
  func addBlob(_ content: ByteStream) async throws -> BlobAnswer
  /// A file by its root, from the own store or fetched from peers.
  func blob(root: String) async throws -> ByteStream
  /// Makes a directory of files that are stored already; `manifest` has passed `check()`.
  func addDirectory(_ manifest: DirectoryManifest) async throws -> BlobAnswer
  /// Lists a directory by its root.
  func directory(root: String) async throws -> DirectoryManifest
}
