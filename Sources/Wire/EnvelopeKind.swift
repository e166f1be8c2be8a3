/// The message catalogue of envelopes: what a node says that another may relay. Numbers are for ever.
public enum EnvelopeKind: UInt8, CaseIterable, Sendable {
  /// A node's own record: addresses, roles, what it offers (`NodeRecord`). Its sequence is the incarnation.
  case nodeRecord = 1
  /// An accusation that a node does not answer (`Accusation`).
  case accusation = 2
  /// A node's polite farewell; its sequence is an incarnation above every earlier record's.
  case leave = 3
  /// Nodes to begin with, vouched for by a validator (`NodeList`). For DNS only: nobody relays it.
  case nodeList = 4
  /// Are you there? (`Ping`)
  case ping = 16
  /// Yes (`Ack`).
  case ack = 17
  /// The member I was to probe for you does not answer me either (`Nack`).
  case nack = 18
  /// Probe this member for me (`PingRequest`).
  case pingRequest = 19
  /// A change of the ledger (`Transaction`).
  case transaction = 32

  /// The name that domain-separates signatures of this kind.
  public var name: String {
    switch self {
    case .nodeRecord: "node-record"
    case .accusation: "accusation"
    case .leave: "leave"
    case .nodeList: "node-list"
    case .ping: "ping"
    case .ack: "ack"
    case .nack: "nack"
    case .pingRequest: "ping-request"
    case .transaction: "transaction"
    }
  }

  /// The longest payload of this kind, in bytes.
  public var maximumPayloadBytes: Int {
    switch self {
    case .nodeRecord: 512
    case .accusation: 64
    case .leave: 0
    case .nodeList: NodeList.maximumBytes
    case .ping, .ack, .nack, .pingRequest: 1_100
    case .transaction: 4_096
    }
  }
}
