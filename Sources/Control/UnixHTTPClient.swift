import NIOCore
import NIOHTTP1
import NIOPosix

/// HTTP/1.1 over a Unix socket, one connection a request: bodies stream both ways and are never held whole.
struct UnixHTTPClient: Sendable {
  /// What a request carries.
  enum Content: Sendable {
    case none
    case json([UInt8])
    case stream(ByteStream)
  }

  private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

  let socketPath: String

  /// Sends one request and gives the answer's head and body to `handle`; the connection is closed when that returns.
  /// An error thrown by the streamed content breaks the request off and is thrown on.
  func exchange<Answer: Sendable>(
    _ method: HTTPMethod, _ path: String, content: Content = .none,
    handle: (HTTPResponseHead, ByteStream) async throws -> Answer
  ) async throws -> Answer {
    let connection = try await connect()
    var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
    head.headers.add(name: "Host", value: "linnet")
    head.headers.add(name: "Connection", value: "close")
    switch content {
    case .none: break
    case .json(let bytes):
      head.headers.add(name: "Content-Type", value: "application/json")
      head.headers.add(name: "Content-Length", value: String(bytes.count))
    case .stream:
      head.headers.add(name: "Content-Type", value: "application/octet-stream")
      head.headers.add(name: "Transfer-Encoding", value: "chunked")
    }
    let request = head
    return try await connection.executeThenClose { inbound, outbound in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          try await Self.send(request, content, to: outbound, closing: connection.channel)
        }
        let body = ResponseParts(inbound)
        guard let answer = try await body.head() else {
          // A content that failed explains why there is no answer; otherwise the daemon went away.
          try await group.waitForAll()
          throw ControlError.brokenOff(socketPath)
        }
        let result = try await handle(answer, ByteStream { try await body.next(socketPath) })
        group.cancelAll()
        return result
      }
    }
  }

  private func connect() async throws -> Connection {
    try ControlSocket.check(path: socketPath)
    do {
      return try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .connect(unixDomainSocketPath: socketPath) { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            return try Connection(wrappingChannelSynchronously: channel)
          }
        }
    } catch {
      throw ControlError.noDaemon(at: socketPath, cause: error)
    }
  }

  private static func send(
    _ head: HTTPRequestHead, _ content: Content, to outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>,
    closing channel: any Channel
  ) async throws {
    var parts: PullStream<[UInt8]>.AsyncIterator
    switch content {
    case .none: parts = ByteStream(elements: []).makeAsyncIterator()
    case .json(let bytes): parts = ByteStream(elements: [bytes]).makeAsyncIterator()
    case .stream(let stream): parts = stream.makeAsyncIterator()
    }
    // A daemon that refuses early closes before all is sent; its answer says why, the failed write does not.
    guard (try? await outbound.write(.head(head))) != nil else { return }
    while true {
      let part: [UInt8]?
      do {
        part = try await parts.next()
      } catch {
        // Closed in the midst of a chunked body, the request can never be taken for a complete one.
        try? await channel.close()
        throw error
      }
      guard let part else { break }
      guard !part.isEmpty else { continue }
      guard (try? await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: part))))) != nil else { return }
      // The writer knows only what its loop has told it: without a turn of the loop it takes parts without bound.
      try? await channel.eventLoop.submit {}.get()
    }
    try? await outbound.write(.end(nil))
  }
}

/// The parts of one response, pulled by one task after the other.
private actor ResponseParts {
  // The iterator is not Sendable and its `next` suspends; it is only ever touched by this actor's one reader.
  private nonisolated(unsafe) var iterator: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
  private var isAtEnd = false

  init(_ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>) {
    iterator = inbound.makeAsyncIterator()
  }

  /// The final head; informational ones (100 Continue) are passed over. Nil when the connection ends before it.
  func head() async throws -> HTTPResponseHead? {
    while let part = try? await iterator.next() {
      if case .head(let head) = part, head.status.code >= 200 { return head }
    }
    return nil
  }

  /// The next piece of the body, nil at its end; throws when the connection ends before.
  func next(_ socketPath: String) async throws -> [UInt8]? {
    guard !isAtEnd else { return nil }
    let part: HTTPClientResponsePart?
    do {
      part = try await iterator.next()
    } catch is HTTPParserError {
      part = nil
    }
    switch part {
    case .body(let buffer): return Array(buffer.readableBytesView)
    case .end:
      isAtEnd = true
      return nil
    case .head: return []
    case nil:
      try Task.checkCancellation()
      throw ControlError.brokenOff(socketPath)
    }
  }
}

extension ControlError {
  /// Nobody answers on the socket.
  static func noDaemon(at path: String, cause: any Error) -> ControlError {
    if let error = cause as? IOError, error.errnoCode == EACCES {
      return ControlError(
        code: "socketForbidden", status: 503, title: "The control socket may not be opened",
        detail: "you may not open '\(path)'",
        suggestion: "join the socket's group (sudo usermod -aG linnet $USER) and log in again", cause: cause)
    }
    return ControlError(
      code: "noDaemon", status: 503, title: "No daemon answers", detail: "no daemon answers at \(path)",
      suggestion: "start one with `linnet daemon` or `linnet testnet up`", cause: cause)
  }

  /// The connection ended in the midst of an answer.
  static func brokenOff(_ path: String) -> ControlError {
    ControlError(
      code: "brokenOff", status: 503, title: "The answer broke off",
      detail: "the daemon at \(path) broke off before its answer was complete",
      suggestion: "see whether it still runs: linnet status")
  }
}
