/// `linnet ping`, for people: a line for each answer, and what it comes to.
package struct PingStatistics: Sendable {
  private var sent: [PingAnswer.Path: Int] = [:]
  private var times: [PingAnswer.Path: [UInt64]] = [:]

  /// Nothing pinged yet.
  package init() {}

  /// Takes an answer, or that there was none.
  package mutating func take(_ answer: PingAnswer) {
    sent[answer.path, default: 0] += 1
    if let time = answer.rttMicroseconds { times[answer.path, default: []].append(time) }
  }

  /// True when at least one ping was answered over some path.
  package var isAnswered: Bool { !times.isEmpty }

  /// How many pings over a path had no answer.
  package func lost(_ path: PingAnswer.Path) -> Int { sent[path, default: 0] - times[path, default: []].count }

  /// One line.
  package static func render(_ answer: PingAnswer, style: TextStyle) -> String {
    let time = answer.rttMicroseconds.map { Quantity.roundTrip(microseconds: $0) }
    let outcome = time ?? style.bad(answer.error ?? "no answer")
    let place = answer.address.map { " from \($0)" } ?? ""
    return "\(answer.sequence) \(answer.path.rawValue)  \(outcome)\(place)\n"
  }

  /// What all of them come to, by path.
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
        path.rawValue, "\(sent)", "\(sorted.count)", "\((sent - sorted.count) * 100 / sent) %", time(sorted.first),
        time(sorted.isEmpty ? nil : sorted[sorted.count / 2]), time(sorted.last),
      ])
    }
    return table.rendered(style: style)
  }
}
