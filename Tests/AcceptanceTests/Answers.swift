// The parts of the documented JSON (docs/control-api.md) that these tests look at, written down anew: a renamed field
// must fail here.

struct NetworkJSON: Decodable {
  struct AddressBook: Decodable {
    var tried: Int
    var new: Int
  }
  var addressBook: AddressBook?
  var counters: [String: UInt64]
}

/// A line of `linnet ping --json`.
struct PingJSON: Decodable {
  var path: String
  var rttMicroseconds: UInt64?
}

struct StatusJSON: Decodable {
  var id: String
  var name: String
  var version: String
  var networkId: String
  var height: UInt64
  var stateRoot: String
  var epoch: UInt64
  var voting: VotingJSON
  var peersAlive: Int
  var leasesRunning: Int
  var balanceMicrocredits: UInt64
  var isolation: String
  var refused: [String: UInt64]
}

struct VotingJSON: Decodable {
  var state: String
  var reason: String?
}

struct ValidatorJSON: Decodable {
  var id: String
  var key: String
  var stakeMicrocredits: UInt64
  var state: String
  var sinceEpoch: UInt64?
  var changesInEpoch: UInt64?
}

struct ValidatorsJSON: Decodable {
  var epoch: UInt64
  var validators: [ValidatorJSON]
}

/// What `linnet validator join`, `leave` and `rotate` asked for.
struct ValidatorChangeJSON: Decodable {
  var id: String
  var inBlock: UInt64?
  var refusal: String?
  var holdsFromEpoch: UInt64?
  var key: String?
}

struct PeerDetailJSON: Decodable {
  struct Slash: Decodable {
    var kind: String
    var epoch: UInt64
    var view: UInt64
    var inBlock: UInt64
    var reporter: String
    var burntMicrocredits: UInt64?
  }
  struct Link: Decodable, Equatable {
    var direction: String
    var since: String?
  }
  /// How the peer behaved.
  struct Conduct: Decodable {
    struct Cost: Decodable {
      var reason: String
      var count: UInt64
      var points: Int64
    }
    struct Closing: Decodable { var reason: String }
    var score: Int64
    var costs: [Cost]
    var closings: [Closing]
  }
  var id: String
  var jailed: Bool
  var validator: ValidatorJSON?
  var conduct: Conduct?
  var links: [Link]
  var slashes: [Slash]
}

struct PeerJSON: Decodable {
  var id: String
  var name: String
  var address: String
  var state: String
  var rttMicroseconds: UInt64?
  var clockOffsetMicroseconds: Int64?
}

struct LeaseJSON: Decodable {
  var provider: String
  var state: String
  var attempt: Int
  var exitCode: Int32?
  var reason: String?
}

struct JobJSON: Decodable {
  var id: String
  var state: String
  var submitter: String
  var command: [String]
  var leases: [LeaseJSON]
  var priceMicrocredits: UInt64
  var escrowMicrocredits: UInt64
  var assignedInBlock: UInt64?
  var settledInBlock: UInt64?
  var outputRoot: String?
  var exitCode: Int32?
  var reason: String?

  var hasEnded: Bool { ["settled", "refunded", "cancelled", "expired"].contains(state) }
  /// Who was paid.
  var paidProvider: String? { leases.first { $0.state == "paid" }?.provider }
}

struct JobListJSON: Decodable {
  var jobs: [JobJSON]
  var omitted: Int
}

struct AccountJSON: Decodable, Equatable {
  var id: String
  var balanceMicrocredits: UInt64
  var nonce: UInt64
  var escrowMicrocredits: UInt64
  var bondedMicrocredits: UInt64
  /// What of the bonded credits is a validator's stake.
  var stakeMicrocredits: UInt64

  var total: UInt64 { balanceMicrocredits + escrowMicrocredits + bondedMicrocredits }
}

struct BlockJSON: Decodable {
  struct Header: Decodable {
    var id: String
    var height: UInt64
    var parent: String
    var proposer: String
    var epoch: UInt64
    var timestamp: String
    var stateRoot: String
  }
  struct Transaction: Decodable {
    var id: String
    var kind: String
    var from: String
    var feeMicrocredits: UInt64
  }
  struct Certificate: Decodable {
    var kind: String
    var signers: [String]
  }
  var header: Header
  var transactions: [Transaction]
  var certificate: Certificate?
}

struct ChainStatusJSON: Decodable {
  var height: UInt64
  var epoch: UInt64
  var stateRoot: String
  var validators: [String]
}

struct TestnetNodeJSON: Decodable {
  var node: Int
  var pid: Int32?
  var id: String?
  var address: String
  var height: UInt64?
  var stateRoot: String?
  var peersAlive: Int?
}

/// The record that a job's shim leaves.
struct ExitRecordJSON: Decodable {
  var lease: String
  var reason: String
  var exitCode: Int32?
  var startedMicroseconds: UInt64
}

/// The genesis document.
struct GenesisJSON: Decodable {
  struct Balance: Decodable {
    var account: String
    var amountMicrocredits: UInt64
  }
  var validators: [String]
  var balances: [Balance]
}
