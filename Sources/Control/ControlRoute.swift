import Hummingbird

/// One route: a method, a path and what answers it.
struct ControlRoute: Sendable {
  let method: HTTPRequest.Method
  /// Such as `/v1/jobs/{id}/logs`: a segment in braces matches any one segment.
  let pattern: String
  private let segments: [Substring]
  let handle: @Sendable (ControlRequest) async throws -> Response

  init(
    _ method: HTTPRequest.Method, _ pattern: String,
    handle: @escaping @Sendable (ControlRequest) async throws -> Response
  ) {
    self.method = method
    self.pattern = pattern
    segments = pattern.split(separator: "/")
    self.handle = handle
  }

  /// The named segments when `path` (its segments, still encoded) fits the pattern, else nil.
  func match(_ path: [Substring]) throws -> [String: String]? {
    guard path.count == segments.count else { return nil }
    var parameters: [String: String] = [:]
    for (segment, expected) in zip(path, segments) {
      if expected.first == "{" {
        guard let value = PercentCoding.decode(segment) else {
          throw ControlError.invalid("the path holds a broken escape: '\(segment)'")
        }
        parameters[String(expected.dropFirst().dropLast())] = value
      } else if segment != expected {
        return nil
      }
    }
    return parameters
  }
}
