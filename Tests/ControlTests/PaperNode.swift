import Synchronization

@testable import Control

/// A node that keeps everything in memory: enough of a `ControlService` to see every route work.
final class PaperNode: ControlService {
  struct Contents {
    var jobs: [String: JobSubmission] = [:]
    var cancelled: Set<String> = []
    var blobs: [String: [UInt8]] = [:]
    var directories: [String: DirectoryManifest] = [:]
    var transfers: [TransferRequest] = []
    var stakes: [StakeRequest] = []
    var invites: [InviteRequest] = []
    var logFollowersEnded = 0
    var eventRequests: [EventRequest] = []
    var eventFollowersEnded = 0
  }

  let contents = Mutex(Contents())
  /// When given, the parts of uploads go there instead of into the store.
  let upload: (@Sendable ([UInt8]) async throws -> Void)?

  init(upload: (@Sendable ([UInt8]) async throws -> Void)? = nil) {
    self.upload = upload
  }

  static let peer = PeerAnswer(
    id: "peerB-222222", name: "b", address: "127.0.0.2:7001", state: .suspect,
    since: WallTime(microsecondsSinceEpoch: 9), path: "tcp outbound", rttMicroseconds: 830, roles: ["provider"],
    height: 7, gpus: 2, score: -1, lastSeen: WallTime(microsecondsSinceEpoch: 1_000_001), ageSeconds: 61,
    clockOffsetMicroseconds: -12_430, via: ["peerC-333333"], isUnseen: true, isMesh: true, agent: "linnet/1",
    jailed: true)

  static let detail = PeerDetailAnswer(
    peer: peer, incarnation: 3, addresses: ["127.0.0.2:7001"],
    recordExpires: WallTime(microsecondsSinceEpoch: 3_000_000), capabilities: "hash1",
    suspicions: [
      SuspicionAnswer(accuser: "peerC-333333", incarnation: 3, at: WallTime(microsecondsSinceEpoch: 2_000_000))
    ],
    refutations: [
      RefutationAnswer(at: WallTime(microsecondsSinceEpoch: 1_000_000), incarnation: 3, accusers: ["peerD-444444"])
    ],
    seenAddresses: [ReportedAddressAnswer(address: "127.0.0.2:7001", reporters: ["peerA-111111"])],
    reportedAddresses: [
      ReportedAddressAnswer(
        address: "198.51.100.1:7447", reporters: ["peerB-222222"], at: WallTime(microsecondsSinceEpoch: 4_000_000))
    ],
    conduct: ConductAnswer(
      score: -7, firsts: 4, costs: [.init(reason: "badFrame", count: 2, points: 100)],
      closings: [.init(at: WallTime(microsecondsSinceEpoch: 2_000_000), reason: "badFrame", banSeconds: 60)],
      bannedUntil: WallTime(microsecondsSinceEpoch: 62_000_000)),
    links: [
      LinkAnswer(
        direction: "outbound", address: "127.0.0.2:7001", since: WallTime(microsecondsSinceEpoch: 0),
        receivedBytes: 1_536, sentBytes: 12, rttMicroseconds: 90, rekeys: 1, waitingBytes: 5,
        streams: [
          StreamAnswer(
            id: 1, channel: "consensus", sentBytes: 7, receivedBytes: 8, queuedBytes: 9, sendWindowBytes: 10,
            unconsumedBytes: 11)
        ])
    ], validator: validator,
    slashes: [
      SlashAnswer(
        kind: "conflicting-notarize", epoch: 1, view: 5, inBlock: 8, reporter: "peerA-111111",
        burntMicrocredits: 50, at: WallTime(microsecondsSinceEpoch: 5))
    ])

  static let network = NetworkAnswer(
    profile: "wan",
    listening: [
      ListeningAnswer(transport: "udp", address: "0.0.0.0:7447"),
      ListeningAnswer(transport: "tcp", address: "0.0.0.0:7447"),
    ], recordAddresses: ["198.51.100.1:7447"], recordExpires: WallTime(microsecondsSinceEpoch: 4),
    interfaces: [
      InterfaceAnswer(
        name: "eth0", addresses: ["10.0.0.5/24"], isUp: true, beaconIPv4: "joined", beaconIPv6: "unused")
    ], observed: [ReportedAddressAnswer(address: "198.51.100.1:7447", reporters: ["peerB-222222"])],
    isBehindNAT: true, via: ["peerB-222222"],
    dialBacks: [DialBackReport(peer: "peerB-222222", isReached: false, reason: "no route")],
    bootstrap: [
      BootstrapAnswer(
        entry: "seed:7447", addresses: ["192.0.2.1:7447"], isLinked: false, failure: "refused",
        failedAt: WallTime(microsecondsSinceEpoch: 6_000_000))
    ], names: [DirectoryNameAnswer(name: "nodes.example", nodes: 3)],
    addressBook: AddressBookAnswer(tried: 2, new: 9),
    members: MemberCountsAnswer(alive: 3, suspect: 1, down: 0, left: 2),
    links: LinkCountsAnswer(inbound: 1, outbound: 2), answeringByDatagram: 2, localHealth: 1,
    clockOffsetMicroseconds: 700_000,
    bans: [BanAnswer(peer: "peerD-444444", until: WallTime(microsecondsSinceEpoch: 8), reason: "badFrame")],
    longestDatagramBytes: 1_200, counters: ["udp.datagram.sendFailed": 3, "udp.datagram.forged": 0], eventsMissed: 5,
    verdict: [VerdictAnswer("nat", .caution, "nobody can dial this node")])

  static let event = EventAnswer(
    sequence: 8, at: WallTime(microsecondsSinceEpoch: 1_000_000), kind: .member, peer: "peerB-222222",
    detail: .init(from: .alive, to: .suspect, accusers: ["peerC-333333"]))

  static let validator = ValidatorAnswer(
    id: "peerB-222222", name: "b", key: "key2", stakeMicrocredits: 100, sinceEpoch: 0, state: .jailed,
    changesInEpoch: 3, liveness: .suspect)

  func status() async throws -> StatusAnswer {
    StatusAnswer(
      id: "peerA-111111", name: "a", version: "0.1.0", network: "test", networkId: "net1", roles: ["validator"],
      height: 9, stateRoot: "root9", epoch: 2, view: 12,
      voting: VotingAnswer(
        state: .abstaining, reason: "the journal is missing", until: WallTime(microsecondsSinceEpoch: 7)),
      peersAlive: 3, leasesRunning: 1, uptimeSeconds: 60,
      balanceMicrocredits: UInt64.max, isolation: "bubblewrap",
      warnings: ["a committee of up to three tolerates no fault"], refused: ["datagramGarbage": 4])
  }
  func peers() async throws -> [PeerAnswer] { [Self.peer] }
  func peer(id: String) async throws -> PeerDetailAnswer {
    _ = try Abbreviation.resolve(id, among: [Self.peer.id], kind: "peer")
    return Self.detail
  }
  func ping(id: String, _ request: PeerPingRequest) async throws -> PullStream<PingAnswer> {
    _ = try await peer(id: id)
    return PullStream(
      elements: (1...request.count).flatMap {
        [
          PingAnswer(sequence: $0, path: .udp, address: "127.0.0.2:7001", rttMicroseconds: 830),
          PingAnswer(sequence: $0, path: .tcp, error: .noLink),
        ]
      })
  }
  func network(dialBack: Bool) async throws -> NetworkAnswer {
    var network = Self.network
    if !dialBack { network.dialBacks = [] }
    return network
  }
  func events(_ request: EventRequest) async throws -> PullStream<EventAnswer> {
    contents.withLock { $0.eventRequests.append(request) }
    guard request.follow else { return PullStream(elements: [Self.event]) }
    let follower = Follower { [self] in contents.withLock { $0.eventFollowersEnded += 1 } }
    return PullStream {
      if follower.first.take() { return Self.event }
      // Nothing more ever happens: only cancellation ends the wait.
      try await Task.sleep(for: .seconds(3600))
      return nil
    }
  }
  func invite(_ request: InviteRequest) async throws -> InviteAnswer {
    contents.withLock { $0.invites.append(request) }
    return InviteAnswer(
      invite: "lninvite1q", node: "peerA-111111", addresses: request.addresses ?? ["127.0.0.1:7001"], network: "test",
      networkId: "net1",
      grant: request.grantMicrocredits.map {
        GrantAnswer(
          account: "grant1", amountMicrocredits: $0, transfer: TransactionAnswer(id: "tx3", inBlock: 10),
          keyFile: "/data/grants/grant1.key")
      })
  }
  func hardware() async throws -> RawJSON { RawJSON(bytes: Array(#"{"cpu": {"cores": 2}}"#.utf8)) }
  func configuration() async throws -> [ConfigurationEntryAnswer] {
    [ConfigurationEntryAnswer(key: "node.name", value: "\"a\"", source: "default")]
  }

  func submitJob(_ submission: JobSubmission) async throws -> SubmissionAnswer {
    let id = contents.withLock { contents in
      let id = "job-\(1000 + contents.jobs.count)"
      contents.jobs[id] = submission
      return id
    }
    return SubmissionAnswer(id: id)
  }
  func jobs() async throws -> JobListAnswer {
    let jobs = contents.withLock { contents in
      contents.jobs.keys.sorted().reversed().map { Self.answer(contents, $0) }
    }
    return JobListAnswer(jobs: jobs, omitted: 2)
  }
  func job(id: String) async throws -> JobAnswer {
    try contents.withLock { contents in
      Self.answer(contents, try Abbreviation.resolve(id, among: contents.jobs.keys, kind: "job"))
    }
  }
  func waitJob(id: String, timeoutSeconds: UInt32) async throws -> JobAnswer { try await job(id: id) }
  func jobLogs(id: String, _ request: JobLogRequest) async throws -> PullStream<JobLogChunk> {
    _ = try await job(id: id)
    if id == "job-1001" {
      return PullStream { throw ControlError.unavailable(code: "providerGone", "the provider went away") }
    }
    let chunk = JobLogChunk(stream: request.stream ?? .stdout, attempt: 0, offset: request.offset, bytes: [0, 255, 10])
    guard request.follow else { return PullStream(elements: [chunk]) }
    let follower = Follower { [self] in contents.withLock { $0.logFollowersEnded += 1 } }
    return PullStream {
      if follower.first.take() { return chunk }
      // A job that never prints again: only cancellation ends the wait.
      try await Task.sleep(for: .seconds(3600))
      return nil
    }
  }
  func jobOutput(id: String) async throws -> DirectoryManifest {
    DirectoryManifest(
      root: "out1", entries: [DirectoryEntry(path: "a b/ü.txt", root: "file1", sizeBytes: 5, executable: true)])
  }
  func jobOutputFile(id: String, path: String) async throws -> ByteStream {
    guard path == "a b/ü.txt" else { throw ControlError.unknown("file", path) }
    return ByteStream(elements: [Array("hel".utf8), [], Array("lo".utf8)])
  }
  func cancelJob(id: String) async throws -> JobAnswer {
    let known = try await job(id: id).id
    return try contents.withLock { contents in
      guard contents.cancelled.insert(known).inserted else {
        throw ControlError.conflict(code: "jobEnded", "the job \(known) has ended")
      }
      return Self.answer(contents, known)
    }
  }

  func account(id: String?) async throws -> AccountAnswer {
    AccountAnswer(
      id: id ?? "own", balanceMicrocredits: 5, nonce: 2, escrowMicrocredits: 1, bondedMicrocredits: 3,
      stakeMicrocredits: 4)
  }
  func transfer(_ request: TransferRequest) async throws -> TransactionAnswer {
    contents.withLock { $0.transfers.append(request) }
    return TransactionAnswer(id: "tx1", inBlock: 10)
  }
  func chainStatus() async throws -> ChainStatusAnswer {
    ChainStatusAnswer(
      height: 9, view: 12, epoch: 2, epochBlocks: 4, epochEndHeight: 12, blocksToEpochEnd: 3, stateRoot: "root9",
      finalizedAt: WallTime(microsecondsSinceEpoch: 0),
      validators: ["peerA-111111"])
  }
  func block(height: UInt64) async throws -> BlockAnswer {
    guard height == 9 else { throw ControlError.unknown("block", "\(height)") }
    return BlockAnswer(
      header: BlockHeaderAnswer(
        id: "b9", height: 9, view: 12, epoch: 0, parent: "b8", proposer: "peerA-111111",
        timestamp: WallTime(microsecondsSinceEpoch: 1), stateRoot: "root9"),
      transactions: [
        BlockTransactionAnswer(id: "tx1", kind: "transfer", from: "own", nonce: 1, feeMicrocredits: 10, summary: "…")
      ],
      certificate: CertificateAnswer(kind: "finalize", view: 12, signers: ["peerA-111111"]))
  }
  func validators() async throws -> ValidatorsAnswer {
    ValidatorsAnswer(
      epoch: 2,
      validators: [
        ValidatorAnswer(id: "peerA-111111", key: "key1", stakeMicrocredits: 100, state: .active), Self.validator,
      ])
  }

  func ownValidator() async throws -> OwnValidatorAnswer {
    OwnValidatorAnswer(
      id: "peerA-111111", epoch: 2, state: .joining, stakeMicrocredits: 100, minimumStakeMicrocredits: 90,
      sinceEpoch: 4, changesInEpoch: 4, nextKey: "key9", heldKeys: ["peerA-111111", "key9"],
      voting: VotingAnswer(state: .following))
  }
  func joinValidators(_ request: StakeRequest) async throws -> ValidatorChangeAnswer {
    contents.withLock { $0.stakes.append(request) }
    return ValidatorChangeAnswer(id: "tx2", inBlock: 10, holdsFromEpoch: 4)
  }
  func leaveValidators() async throws -> ValidatorChangeAnswer {
    ValidatorChangeAnswer(id: "tx3", inBlock: 11, refusal: "no stake")
  }
  func rotateVoteKey() async throws -> ValidatorChangeAnswer { ValidatorChangeAnswer(id: "tx4", key: "key9") }

  func addBlob(_ content: ByteStream) async throws -> BlobAnswer {
    var kept: [UInt8] = []
    var size: UInt64 = 0
    for try await part in content {
      size += UInt64(part.count)
      if let upload { try await upload(part) } else { kept += part }
    }
    let root = "blob\(size)"
    let stored = kept
    contents.withLock { $0.blobs[root] = stored }
    return BlobAnswer(root: root, sizeBytes: size)
  }
  func blob(root: String) async throws -> ByteStream {
    guard let bytes = contents.withLock({ $0.blobs[root] }) else { throw ControlError.unknown("blob", root) }
    return ByteStream(
      elements: stride(from: 0, to: bytes.count, by: 1000).map { Array(bytes[$0..<min($0 + 1000, bytes.count)]) })
  }
  func addDirectory(_ manifest: DirectoryManifest) async throws -> BlobAnswer {
    contents.withLock { $0.directories["dir1"] = manifest }
    return BlobAnswer(root: "dir1", sizeBytes: manifest.entries.reduce(0) { $0 + $1.sizeBytes })
  }
  func directory(root: String) async throws -> DirectoryManifest {
    guard let manifest = contents.withLock({ $0.directories[root] }) else {
      throw ControlError.unknown("directory", root)
    }
    return DirectoryManifest(root: root, entries: manifest.entries)
  }

  private static func answer(_ contents: Contents, _ id: String) -> JobAnswer {
    JobAnswer(
      id: id, state: contents.cancelled.contains(id) ? .cancelled : .settled, submitter: "own",
      command: contents.jobs[id]?.command ?? [],
      leases: [LeaseAnswer(provider: "peerB-222222", state: .paid, attempt: 0, exitCode: 3)], priceMicrocredits: 12,
      assignedInBlock: 8, settledInBlock: 9, outputRoot: "out1", exitCode: 3)
  }
}

/// Lives as long as somebody follows. Who goes away early may do so before its stream is asked to wait: so it is not the
/// wait whose end is told, but that of the stream.
private final class Follower: Sendable {
  let first = FirstOnly()
  private let ended: @Sendable () -> Void

  init(ended: @escaping @Sendable () -> Void) { self.ended = ended }

  deinit { ended() }
}
