import ArgumentParser
import Control

/// `linnet peers`
struct PeersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peers", abstract: "List the peers that the node knows.")

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @Flag(help: "Show it again every two seconds.") var watch = false

  func run() async throws {
    let client = try connection.client()
    if format.json { return try Console.print(json: try await client.peers()) }
    try await Console.show(watch: watch) { Self.render(try await client.peers(), style: Console.style) }
  }

  static func render(_ peers: [PeerAnswer], style: TextStyle) -> String {
    guard !peers.isEmpty else { return "no peers known yet\n" }
    var table = TextTable([
      ("ID", .left), ("NAME", .left), ("ADDRESS", .left), ("STATE", .left), ("PATH", .left), ("RTT", .right),
      ("ROLES", .left), ("HEIGHT", .right), ("GPUS", .right), ("SCORE", .right), ("LAST SEEN", .left),
    ])
    for peer in peers {
      table.add([
        Console.short(peer.id), peer.name, peer.address, state(of: peer), peer.path ?? "-",
        peer.rttMicroseconds.map { Quantity.roundTrip(microseconds: $0) } ?? "-", peer.roles.joined(separator: ","),
        peer.height.map(String.init) ?? "-", "\(peer.gpus)", "\(peer.score)",
        peer.lastSeen.map(Self.clock) ?? "never",
      ])
    }
    return table.rendered(style: style)
  }

  /// What membership believes, and whether it is put out as a validator.
  static func state(of peer: PeerAnswer) -> String {
    peer.state.rawValue + (peer.jailed ? ", jailed" : "")
  }

  /// A time to the second.
  static func clock(_ time: WallTime) -> String { time.description.prefix(19) + "Z" }
}

/// `linnet peer <id>`
struct PeerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peer", abstract: "Show one peer, who accuses it, the links to it and the evidence against it.")

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @Argument(help: "The peer's id, or its unique beginning.") var id: String

  func run() async throws {
    let detail = try await connection.client().peer(id: id)
    if format.json { return try Console.print(json: detail) }
    try Console.print(Self.render(detail, style: Console.style))
  }

  static func render(_ detail: PeerDetailAnswer, style: TextStyle) -> String {
    let peer = detail.peer
    var fields = TextFields()
    fields.add("id", peer.id)
    fields.add("name", peer.name)
    fields.add("address", peer.address)
    fields.add("record names", detail.addresses.isEmpty ? nil : detail.addresses.joined(separator: ", "))
    fields.add("state", PeersCommand.state(of: peer))
    fields.add("incarnation", "\(detail.incarnation)")
    fields.add("path", peer.path)
    fields.add("rtt", peer.rttMicroseconds.map { Quantity.roundTrip(microseconds: $0) })
    fields.add("roles", peer.roles.joined(separator: ", "))
    fields.add("height", peer.height.map(String.init))
    fields.add("gpus", "\(peer.gpus)")
    fields.add("score", "\(peer.score)")
    fields.add("last seen", peer.lastSeen.map(PeersCommand.clock))
    fields.add("validator", detail.validator.map(ValidatorText.render))
    var text = fields.rendered(style: style)
    if !detail.suspicions.isEmpty {
      var table = TextTable("ACCUSED BY", "AT")
      for suspicion in detail.suspicions {
        table.add([suspicion.accuser, suspicion.at.map(PeersCommand.clock) ?? "-"])
      }
      text += "\n" + table.rendered(style: style)
    }
    if !detail.slashes.isEmpty {
      var table = TextTable([
        ("SLASHED FOR", .left), ("EPOCH", .right), ("VIEW", .right), ("IN BLOCK", .right), ("REPORTED BY", .left),
        ("BURNT", .right), ("AT", .left),
      ])
      for slash in detail.slashes {
        table.add([
          slash.kind, "\(slash.epoch)", "\(slash.view)", "\(slash.inBlock)", slash.reporter,
          slash.burntMicrocredits.map(Quantity.credits) ?? "-", slash.at.map(PeersCommand.clock) ?? "-",
        ])
      }
      text += "\n" + table.rendered(style: style)
    }
    if !detail.links.isEmpty {
      var table = TextTable([
        ("LINK", .left), ("ADDRESS", .left), ("SINCE", .left), ("RECEIVED", .right), ("SENT", .right),
      ])
      for link in detail.links {
        table.add([
          link.direction, link.address, link.since.map(PeersCommand.clock) ?? "-", Quantity.size(link.receivedBytes),
          Quantity.size(link.sentBytes),
        ])
      }
      text += "\n" + table.rendered(style: style)
    }
    return text
  }
}
