import Hummingbird
import NIOCore
import ServiceLifecycle

/// The most bytes of a JSON body, but for directory manifests.
let maximumBodyBytes = 1_048_576
/// The most bytes of a directory manifest.
let maximumManifestBytes = 33_554_432

extension ControlRoute {
  /// Every route. docs/control-api.md describes them; a test holds it against this table.
  static let all: [ControlRoute] = nodeRoutes + networkRoutes + jobRoutes + ledgerRoutes + validatorRoutes + blobRoutes

  private static let nodeRoutes = [
    ControlRoute(.get, "/v1/status") { request in
      var status = try await request.service.status()
      status.refused.merge(request.counters.all) { _, own in own }
      return try .json(status)
    },
    ControlRoute(.get, "/v1/hardware") { .json(bytes: try await $0.service.hardware().bytes) },
    ControlRoute(.get, "/v1/configuration") { try .json(await $0.service.configuration()) },
    ControlRoute(.post, "/v1/invites") { request in
      let wanted = try await request.body(InviteRequest.self, limitBytes: maximumBodyBytes)
      guard wanted.grantMicrocredits != 0 else { throw ControlError.invalid("the grant is 0") }
      return try .json(await request.service.invite(wanted), status: .created)
    },
  ]

  private static let networkRoutes = [
    ControlRoute(.get, "/v1/peers") { try .json(await $0.service.peers()) },
    ControlRoute(.get, "/v1/peers/{id}") { try .json(await $0.service.peer(id: $0.parameter("id"))) },
    ControlRoute(.post, "/v1/peers/{id}/ping") { request in
      let wanted = try await request.body(PeerPingRequest.self, limitBytes: maximumBodyBytes)
      try wanted.check()
      return .lines(try await request.service.ping(id: request.parameter("id"), wanted), for: request.http)
    },
    ControlRoute(.get, "/v1/network") { request in
      let dialBack = try request.flag("dialBack")
      return try .json(await cancelWhenGracefulShutdown { try await request.service.network(dialBack: dialBack) })
    },
    ControlRoute(.get, "/v1/events") { request in
      let wanted = EventRequest(
        from: try request.number("from", default: 0, in: 0...UInt64.max),
        kinds: try EventKind.listed(request.query["kind", default: ""]),
        follow: try request.flag("follow", default: true))
      return .lines(try await request.service.events(wanted), for: request.http)
    },
  ]

  private static let jobRoutes = [
    ControlRoute(.get, "/v1/jobs") { try .json(await $0.service.jobs()) },
    ControlRoute(.post, "/v1/jobs") { request in
      let submission = try await request.body(JobSubmission.self, limitBytes: maximumBodyBytes)
      try submission.check()
      return try .json(await request.service.submitJob(submission), status: .created)
    },
    ControlRoute(.get, "/v1/jobs/{id}") { try .json(await $0.service.job(id: $0.parameter("id"))) },
    ControlRoute(.get, "/v1/jobs/{id}/wait") { request in
      let seconds: UInt32 = try request.number("timeoutSeconds", default: 30, in: 1...60)
      return try .json(
        await cancelWhenGracefulShutdown {
          try await request.service.waitJob(id: request.parameter("id"), timeoutSeconds: seconds)
        })
    },
    ControlRoute(.get, "/v1/jobs/{id}/logs") { request in
      var stream: LogStream?
      if let name = request.query["stream"] {
        guard let known = LogStream(rawValue: name) else {
          throw ControlError.invalid("'stream=\(name)' is neither stdout nor stderr")
        }
        stream = known
      }
      let wanted = JobLogRequest(
        stream: stream, offset: try request.number("offset", default: 0, in: 0...UInt64.max),
        follow: try request.flag("follow"))
      return .lines(try await request.service.jobLogs(id: request.parameter("id"), wanted), for: request.http)
    },
    ControlRoute(.get, "/v1/jobs/{id}/output") { try .json(await $0.service.jobOutput(id: $0.parameter("id"))) },
    ControlRoute(.get, "/v1/jobs/{id}/output/file") { request in
      guard let path = request.query["path"], DirectoryManifest.isSafe(path: path) else {
        throw ControlError.invalid("'path' must name a file below the output directory")
      }
      return .bytes(try await request.service.jobOutputFile(id: request.parameter("id"), path: path))
    },
    ControlRoute(.post, "/v1/jobs/{id}/cancel") { try .json(await $0.service.cancelJob(id: $0.parameter("id"))) },
  ]

  private static let ledgerRoutes = [
    ControlRoute(.get, "/v1/account") { try .json(await $0.service.account(id: nil)) },
    ControlRoute(.get, "/v1/accounts/{id}") { try .json(await $0.service.account(id: $0.parameter("id"))) },
    ControlRoute(.post, "/v1/transfers") { request in
      let transfer = try await request.body(TransferRequest.self, limitBytes: maximumBodyBytes)
      guard transfer.amountMicrocredits > 0 else { throw ControlError.invalid("the amount is 0") }
      return try .json(await request.service.transfer(transfer), status: .created)
    },
    ControlRoute(.get, "/v1/chain") { try .json(await $0.service.chainStatus()) },
    ControlRoute(.get, "/v1/blocks/{height}") { request in
      guard let height = UInt64(request.parameter("height")) else {
        throw ControlError.invalid("'\(request.parameter("height"))' is not the height of a block")
      }
      return try .json(await request.service.block(height: height))
    },
    ControlRoute(.get, "/v1/validators") { try .json(await $0.service.validators()) },
  ]

  private static let validatorRoutes = [
    ControlRoute(.get, "/v1/validator") { try .json(await $0.service.ownValidator()) },
    ControlRoute(.post, "/v1/validator/join") { request in
      let stake = try await request.body(StakeRequest.self, limitBytes: maximumBodyBytes)
      guard stake.amountMicrocredits != 0 else { throw ControlError.invalid("the amount is 0") }
      return try .json(await request.service.joinValidators(stake), status: .created)
    },
    ControlRoute(.post, "/v1/validator/leave") {
      try .json(await $0.service.leaveValidators(), status: .created)
    },
    ControlRoute(.post, "/v1/validator/rotate") {
      try .json(await $0.service.rotateVoteKey(), status: .created)
    },
  ]

  private static let blobRoutes = [
    ControlRoute(.post, "/v1/blobs") { request in
      let content = ByteStream(request.http.body.map { Array($0.readableBytesView) })
      return try .json(await request.service.addBlob(content), status: .created)
    },
    ControlRoute(.get, "/v1/blobs/{root}") { .bytes(try await $0.service.blob(root: $0.parameter("root"))) },
    ControlRoute(.post, "/v1/directories") { request in
      let manifest = try await request.body(DirectoryManifest.self, limitBytes: maximumManifestBytes)
      try manifest.check()
      return try .json(await request.service.addDirectory(manifest), status: .created)
    },
    ControlRoute(.get, "/v1/directories/{root}") {
      try .json(await $0.service.directory(root: $0.parameter("root")))
    },
  ]
}
