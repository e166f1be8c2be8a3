/// `linnet events`, for people: one line an event.
package enum EventText {
  /// The line, with its end.
  package static func render(_ event: EventAnswer, style: TextStyle) -> String {
    let kind = event.kind.rawValue
    let padding = String(repeating: " ", count: max(1, 16 - kind.count))
    let words = TextTable.printable(says(event))
    return PeerText.clock(event.at) + "  " + coloured(event, kind, style) + padding + words + "\n"
  }

  private static func coloured(_ event: EventAnswer, _ kind: String, _ style: TextStyle) -> String {
    switch event.kind {
    case .scoreClosed, .split, .gap: style.bad(kind)
    case .accusation, .dialFailed, .linkDown, .nat, .load, .socketRebound: style.caution(kind)
    case .refutation, .linkUp, .healed: style.good(kind)
    case .member, .addressLearned, .addressChanged: kind
    }
  }

  private static func says(_ event: EventAnswer) -> String {
    let detail = event.detail
    let peer = event.peer.map(PeerText.short)
    let accusers = detail.accusers.flatMap { $0.isEmpty ? nil : $0.map(PeerText.short).joined(separator: ", ") }
    let why = detail.reason.map { ": \($0)" } ?? ""
    switch event.kind {
    case .member:
      let change = "\(detail.from.map { "\($0.rawValue) -> " } ?? "")\(detail.to?.rawValue ?? "?")"
      return "\(peer ?? "?") \(change)" + (accusers.map { ", accused by \($0)" } ?? "")
    case .accusation: return "\(peer ?? "this node") is accused by \(accusers ?? "?")"
    case .refutation: return "\(peer ?? "this node") refuted" + (accusers.map { " \($0)" } ?? "")
    case .linkUp: return "\(peer ?? "?") at \(detail.address ?? "?"), \(detail.direction ?? "?")"
    case .linkDown: return (peer ?? "?") + why
    case .dialFailed: return (detail.address ?? "?") + (peer.map { " for \($0)" } ?? "") + why
    case .scoreClosed:
      let place = "\(peer ?? "?") at \(detail.score ?? 0) points"
      // The link of a validator stays: votes go over it.
      guard let seconds = detail.banSeconds, seconds > 0 else { return place + ", its gossip not heard for a while" }
      return place + ", not let in for \(Quantity.duration(seconds: UInt64(seconds)))"
    case .addressLearned: return "\(detail.address ?? "?"), seen by \(detail.reporters ?? 0)"
    case .addressChanged:
      let before = detail.before ?? []
      let now = detail.addresses ?? []
      return "\(before.isEmpty ? "none" : before.joined(separator: ", ")) -> "
        + (now.isEmpty ? "none" : now.joined(separator: ", "))
    case .nat:
      guard detail.isOn == true else { return "this node can be dialled again" }
      let via = (detail.via ?? []).map(PeerText.short)
      return "nobody can dial this node" + (via.isEmpty ? "" : ", reached through \(via.joined(separator: ", "))")
    case .split: return "\(detail.members ?? 0) members went down within half a minute"
    case .healed: return "\(detail.members ?? 0) of them are back"
    case .socketRebound: return "a socket for datagrams was lost and opened anew"
    case .load:
      return detail.isOn == true
        ? "senders of datagrams are asked for a cookie" : "no sender is asked for a cookie any more"
    case .gap: return "\(detail.missed ?? 0) events were forgotten before they were read"
    }
  }
}
