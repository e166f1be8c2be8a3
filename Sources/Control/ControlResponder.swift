import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// Finds the route of a request, and turns whatever is thrown into a problem document and a counter.
struct ControlResponder: HTTPResponder {
  typealias Context = BasicRequestContext

  let service: any ControlService
  let counters: ControlCounters
  let logger: Logger

  func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
    do {
      return try await route(request)
    } catch let error as HTTPParserError {
      // The connection itself is out of step: Hummingbird answers 400 and closes it.
      throw error
    } catch let refusal as WrongMethod {
      counters.count(.controlWrongMethod)
      return .problem(refusal.error, allow: refusal.allowed)
    } catch let error as ControlError {
      return refuse(error, of: request)
    } catch is CancellationError {
      return refuse(
        .unavailable(code: "shuttingDown", "the daemon is stopping", suggestion: "ask again when it has restarted"),
        of: request)
    } catch {
      return refuse(.internalFault(error), of: request)
    }
  }

  private func refuse(_ error: ControlError, of request: Request) -> Response {
    let code = (400...599).contains(error.status) ? error.status : 500
    switch (code, error.code) {
    case (_, "routeUnknown"): counters.count(.controlUnknownRoute)
    case (400, _): counters.count(.controlMalformed)
    case (413, _): counters.count(.controlOversized)
    case (500..., _): counters.count(.controlFailed)
    default: counters.count(.controlRefused)
    }
    if code >= 500 {
      logger.error(
        "Control request failed",
        metadata: ["request": "\(request.method) \(request.uri.path)", "error": "\(error)"])
    }
    var sent = error
    sent.status = code
    return .problem(sent)
  }

  private func route(_ request: Request) async throws -> Response {
    let path = request.uri.path.split(separator: "/", omittingEmptySubsequences: true)
    var allowed: [String] = []
    for route in ControlRoute.all {
      guard let parameters = try route.match(path) else { continue }
      guard route.method == request.method else {
        allowed.append(route.method.rawValue)
        continue
      }
      return try await route.handle(
        ControlRequest(
          http: request, service: service, counters: counters, parameters: parameters,
          query: try Self.query(request.uri.query)))
    }
    guard allowed.isEmpty else { throw WrongMethod(used: request.method.rawValue, path: request.uri.path, allowed) }
    throw ControlError(
      code: "routeUnknown", status: 404, title: "There is no such route",
      detail: "nothing answers \(request.method) \(request.uri.path)",
      suggestion: "see docs/control-api.md; does the daemon have the same version as this client?")
  }

  static func query(_ text: String?) throws -> [String: String] {
    var values: [String: String] = [:]
    for pair in (text ?? "").split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = PercentCoding.decode(parts[0]), let value = PercentCoding.decode(parts.count > 1 ? parts[1] : "")
      else { throw ControlError.invalid("the query holds a broken escape: '\(pair)'") }
      values[name] = value
    }
    return values
  }
}

/// A route asked with a method that it does not have: the answer must say which it has (RFC 9110, 15.5.6).
private struct WrongMethod: Error {
  let error: ControlError
  let allowed: String

  init(used: String, path: String, _ methods: [String]) {
    allowed = methods.joined(separator: ", ")
    error = ControlError(
      code: "methodNotAllowed", status: 405, title: "The route does not have this method",
      detail: "\(path) does not answer \(used)", suggestion: "use \(allowed)")
  }
}

/// Counts connections that send what is no HTTP.
final class GarbageCounter: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = NIOAny

  private let counters: ControlCounters

  init(counters: ControlCounters) {
    self.counters = counters
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if error is HTTPParserError { counters.count(.controlGarbage) }
    context.fireErrorCaught(error)
  }
}
