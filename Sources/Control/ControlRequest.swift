import Hummingbird
import NIOCore

/// A request that has found its route: what a handler reads.
struct ControlRequest: Sendable {
  let http: Request
  let service: any ControlService
  let counters: ControlCounters
  /// The named segments of the path, decoded.
  let parameters: [String: String]
  /// The query, decoded; the last of equal names wins.
  let query: [String: String]

  /// The segment called `name`; the route table guarantees that it is there.
  func parameter(_ name: String) -> String { parameters[name] ?? "" }

  /// A whole number in the query, `fallback` where absent; throws when it is none or outside `range`.
  func number<Value: FixedWidthInteger>(
    _ name: String, default fallback: Value, in range: ClosedRange<Value>
  ) throws -> Value {
    guard let text = query[name] else { return fallback }
    guard let value = Value(text), range.contains(value) else {
      throw ControlError.invalid(
        "'\(name)=\(text)' is not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// `true` or `false` in the query, `fallback` where absent.
  func flag(_ name: String, default fallback: Bool = false) throws -> Bool {
    switch query[name] {
    case nil: fallback
    case "false": false
    case "true": true
    case .some(let text): throw ControlError.invalid("'\(name)=\(text)' is neither true nor false")
    }
  }

  /// The body as JSON of at most `limitBytes`.
  func body<Value: Decodable>(_ type: Value.Type, limitBytes: Int) async throws -> Value {
    if let announced = http.headers[.contentLength].flatMap(Int.init), announced > limitBytes {
      throw ControlError.tooLarge(limitBytes: limitBytes)
    }
    var bytes: [UInt8] = []
    for try await part in http.body {
      guard bytes.count + part.readableBytes <= limitBytes else { throw ControlError.tooLarge(limitBytes: limitBytes) }
      bytes += part.readableBytesView
    }
    return try ControlJSON.decode(type, from: bytes)
  }
}

extension Response {
  /// A JSON answer.
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    json(bytes: try ControlJSON.encode(value), status: status)
  }

  /// A JSON answer that is text already.
  static func json(bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "application/json", .contentLength: String(bytes.count)],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  /// The problem document of RFC 9457.
  static func problem(_ error: ControlError, allow: String? = nil) -> Response {
    let bytes = (try? ControlJSON.encode(error)) ?? []
    var response = Response(
      status: HTTPResponse.Status(code: error.status),
      headers: [.contentType: "application/problem+json", .contentLength: String(bytes.count)],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    response.headers[.allow] = allow
    return response
  }

  /// A file, as fast as the client takes it.
  static func bytes(_ content: ByteStream) -> Response {
    Response(
      status: .ok, headers: [.contentType: "application/octet-stream"],
      body: ResponseBody { writer in
        for try await part in content where !part.isEmpty {
          try await writer.write(ByteBuffer(bytes: part))
        }
        try await writer.finish(nil)
      })
  }

  /// One JSON object a line until the sequence ends, the client goes away or the daemon stops. A failure under way is
  /// the last line: `{"problem": …}`.
  static func lines<Element: Encodable & Sendable>(_ elements: PullStream<Element>, for request: Request) -> Response {
    Response(
      status: .ok, headers: [.contentType: "application/x-ndjson"],
      body: ResponseBody { writer in
        try await request.body.consumeWithCancellationOnInboundClose { _ in
          do {
            for try await element in elements.cancelOnGracefulShutdown() {
              try await writer.write(ByteBuffer(bytes: try ControlJSON.encode(element) + [UInt8(ascii: "\n")]))
            }
          } catch let error where !Task.isCancelled {
            let problem = StreamProblem(problem: error as? ControlError ?? .internalFault(error))
            try await writer.write(ByteBuffer(bytes: try ControlJSON.encode(problem) + [UInt8(ascii: "\n")]))
          }
        }
        try await writer.finish(nil)
      })
  }
}

/// The last line of a stream of lines that failed under way.
struct StreamProblem: Codable, Sendable {
  let problem: ControlError
}
