/// `linnet ping`, for people: a line for each answer, and what it comes to.
package struct PingStatistics: Sendable {
  private var sent: [PingAnswer.Path: Int] = [:]
  private var times: [PingAnswer.Path: [UInt64]] = [:]

  /// Nothing pinged yet.
  package init() {}

  /// Takes an answer, or that there was none.
  package mutating func take(_ answer: PingAnswer) {
    sent[answer.path, default: 0] += answer.isSent ? 1 : 0
    if let time = answer.rttMicroseconds { times[answer.path, default: []].append(time) }
  }

  /// True when at least one ping was answered over some path.
  package var isAnswered: Bool { !times.isEmpty }

  /// One line.
  package static func render(_ answer: PingAnswer, style: TextStyle) -> String {
    let time = answer.rttMicroseconds.map { Quantity.roundTrip(microseconds: $0) }
    let outcome = time ?? style.bad(answer.error.map(reason) ?? "no answer")
    let place = answer.address.map { " from \($0)" } ?? ""
    return "\(answer.sequence) \(answer.path.rawValue)  \(outcome)\(place)\n"
  }

  private static func reason(_ failure: PingAnswer.Failure) -> String {
    switch failure {
    case .timedOut: "no answer"
    case .noAddress: "not sent: no address of it can be written to"
    case .notAMember: "not sent: it is no member any more"
    case .busy: "not sent: too many pings are under way"
    case .noLink: "not sent: there is no link with it"
    }
  }

  /// What all of them come to, by path. What could not be sent is no loss.
  package func rendered(style: TextStyle) -> String {
    var table = TextTable([
      ("PATH", .left), ("SENT", .right), ("ANSWERED", .right), ("LOSS", .right), ("MIN", .right), ("MEDIAN", .right),
      ("MAX", .right),
    ])
    for path in PingAnswer.Path.allCases {
      guard let sent = sent[path] else { continue }
      let sorted = times[path, default: []].sorted()
      func time(_ value: UInt64?) -> String { value.map { Quantity.roundTrip(microseconds: $0) } ?? "-" }
      table.add([
        path.rawValue, "\(sent)", "\(sorted.count)", sent == 0 ? "-" : "\((sent - sorted.count) * 100 / sent) %",
        time(sorted.first),
        time(sorted.isEmpty ? nil : sorted[sorted.count / 2]), time(sorted.last),
      ])
    }
    return table.rendered(style: style)
  }
}
