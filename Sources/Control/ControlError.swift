/// Why a control request was not answered as asked, in the words of RFC 9457 (problem details): what was tried,
/// what went wrong and what to do next. It travels as `application/problem+json` and is thrown again by the client.
package struct ControlError: Error, Sendable {
  /// One word for programs, stable between versions, e.g. `jobUnknown`.
  package var code: String
  /// The HTTP status, 400 to 599.
  package var status: Int
  /// A short summary that is the same for every occurrence of `code`.
  package var title: String
  /// This occurrence: what was tried and what went wrong.
  package var detail: String
  /// What a person can do next.
  package var suggestion: String?
  /// What lies below it, for logs; it does not travel.
  package var cause: (any Error)?

  /// An error with every part given.
  package init(
    code: String, status: Int, title: String, detail: String, suggestion: String? = nil, cause: (any Error)? = nil
  ) {
    self.code = code
    self.status = status
    self.title = title
    self.detail = detail
    self.suggestion = suggestion
    self.cause = cause
  }
}

extension ControlError: CustomStringConvertible {
  /// The detail and the suggestion in one line.
  package var description: String {
    guard let suggestion else { return "\(detail) (\(code))" }
    return "\(detail) (\(code)); try: \(suggestion)"
  }
}

extension ControlError: Codable {
  private enum Keys: String, CodingKey {
    case type, title, status, detail, code, suggestion
  }

  /// Reads a problem document; members of RFC 9457 that are absent take the values that the RFC gives them.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Keys.self)
    let title = try values.decodeIfPresent(String.self, forKey: .title) ?? "Error"
    self.init(
      code: try values.decodeIfPresent(String.self, forKey: .code) ?? "unknown",
      status: try values.decodeIfPresent(Int.self, forKey: .status) ?? 500,
      title: title,
      detail: try values.decodeIfPresent(String.self, forKey: .detail) ?? title,
      suggestion: try values.decodeIfPresent(String.self, forKey: .suggestion))
  }

  /// Writes the problem document.
  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Keys.self)
    try values.encode("urn:linnet:problem:\(code)", forKey: .type)
    try values.encode(title, forKey: .title)
    try values.encode(status, forKey: .status)
    try values.encode(detail, forKey: .detail)
    try values.encode(code, forKey: .code)
    try values.encodeIfPresent(suggestion, forKey: .suggestion)
  }
}

extension ControlError {
  /// 400: the request itself cannot be understood or asks for what can never be.
  package static func invalid(_ detail: String, suggestion: String? = nil, cause: (any Error)? = nil) -> ControlError {
    ControlError(
      code: "requestInvalid", status: 400, title: "The request is not valid", detail: detail, suggestion: suggestion,
      cause: cause)
  }

  /// 404: there is no `kind` (such as "job", "peer", "blob") called `id`; the code is `<kind>Unknown`.
  package static func unknown(_ kind: String, _ id: String, suggestion: String? = nil) -> ControlError {
    ControlError(
      code: "\(kind)Unknown", status: 404, title: "There is no such \(kind)",
      detail: "no \(kind) is known by the id '\(id)'", suggestion: suggestion)
  }

  /// 409: an abbreviated id that fits several.
  package static func ambiguous(_ kind: String, _ prefix: String, matches: Int) -> ControlError {
    ControlError(
      code: "idAmbiguous", status: 409, title: "The abbreviated id fits several",
      detail: "\(matches) \(kind)s have ids that begin with '\(prefix)'", suggestion: "give more characters of the id")
  }

  /// 409: what is asked is understood but the present state does not allow it (a job that already ended, too little
  /// balance); `code` says which.
  package static func conflict(code: String, _ detail: String, suggestion: String? = nil) -> ControlError {
    ControlError(
      code: code, status: 409, title: "The present state does not allow it", detail: detail, suggestion: suggestion)
  }

  /// 503: the node cannot do it now (no quorum, still synchronising, disk full); `code` says which.
  package static func unavailable(
    code: String, _ detail: String, suggestion: String? = nil, cause: (any Error)? = nil
  ) -> ControlError {
    ControlError(
      code: code, status: 503, title: "The node cannot do it now", detail: detail, suggestion: suggestion,
      cause: cause)
  }

  /// 413: a body larger than `limitBytes`.
  package static func tooLarge(limitBytes: Int) -> ControlError {
    ControlError(
      code: "bodyTooLarge", status: 413, title: "The request body is too large",
      detail: "the body is larger than \(limitBytes) bytes", suggestion: "send less in one request")
  }

  /// 500: a fault of the node that is not the caller's doing.
  package static func internalFault(_ error: any Error) -> ControlError {
    ControlError(
      code: "internal", status: 500, title: "The node failed to answer", detail: "\(error)",
      suggestion: "see the daemon's log", cause: error)
  }
}
