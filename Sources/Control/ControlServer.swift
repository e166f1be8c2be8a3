import Glibc
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle

/// The control API on a Unix socket: HTTP/1.1 with JSON, every route in docs/control-api.md.
///
/// ```swift
/// let server = ControlServer(service: node, socketPath: path, replaceStaleSocket: true, logger: logger)
/// try await server.run()  // until graceful shutdown or cancellation
/// ```
package struct ControlServer: Service {
  /// Connections beyond this wait in the kernel's queue.
  package static let maximumConnections = 256
  /// A connection that sends nothing for this long while it should is closed.
  package static let idleTimeoutSeconds: Int64 = 120
  /// The most bytes of all header fields of a request.
  package static let maximumHeaderBytes = 32_768

  /// What was refused since the start.
  package let counters = ControlCounters()

  private let service: any ControlService
  private let socketPath: String
  private let replaceStaleSocket: Bool
  private let logger: Logger
  private let onRunning: @Sendable () async -> Void

  /// - Parameters:
  ///   - service: Answers the requests.
  ///   - socketPath: At most 107 bytes; its directory is made (0750) when only that is missing.
  ///   - replaceStaleSocket: Whether the socket of a dead daemon may be removed. Only who holds the lock on the data
  ///     directory may say true: otherwise a second daemon could take the place of the first.
  ///   - logger: Failures of requests go there.
  ///   - onRunning: Called when the socket answers.
  package init(
    service: any ControlService, socketPath: String, replaceStaleSocket: Bool = false, logger: Logger,
    onRunning: @escaping @Sendable () async -> Void = {}
  ) {
    self.service = service
    self.socketPath = socketPath
    self.replaceStaleSocket = replaceStaleSocket
    self.logger = logger
    self.onRunning = onRunning
  }

  /// Serves until the surrounding service group shuts down or the task is cancelled; the socket is gone when it
  /// returns. Throws `ControlError` when the socket cannot be opened.
  package func run() async throws {
    try ControlSocket.prepare(path: socketPath, replaceStale: replaceStaleSocket)
    // Hummingbird tells of every start at info level; the daemon says it itself.
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    let application = Application(
      responder: ControlResponder(service: service, counters: counters, logger: logger),
      server: .http1(
        configuration: .init(
          additionalChannelHandlers: [GarbageCounter(counters: counters)],
          idleTimeout: .seconds(Self.idleTimeoutSeconds),
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: Self.maximumHeaderBytes, maxHeaderListSize: Self.maximumHeaderBytes,
            maxHeaderFieldCount: 100))),
      configuration: .init(
        address: .unixDomainSocket(path: socketPath),
        availableConnectionsDelegate: .maximum(Self.maximumConnections, logger: quiet)),
      onServerRunning: { [socketPath, logger, onRunning] _ in
        // Until here only the directory's mode kept others out, which is enough.
        if chmod(socketPath, 0o660) != 0 {
          logger.error(
            "Cannot set the mode of the control socket",
            metadata: ["path": "\(socketPath)", "error": "\(String(cString: strerror(errno)))"])
        }
        await onRunning()
      },
      logger: quiet)
    defer { unlink(socketPath) }
    try await application.run()
  }
}
