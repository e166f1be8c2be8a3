import Primitives
import Testing
import Wire

/// An envelope whose payload decodes: what docs/wire-format.md calls a message.
struct WholeMessage: WireCodable, Equatable {
  let message: Message

  init(_ message: Message) { self.message = message }
  func encode(into writer: inout WireWriter) { writer.value(message.envelope) }
  init(from reader: inout WireReader) throws(WireError) { message = try Message(reader.value()) }
}

/// One type of the wire format: how to make, write and read its values.
struct WireType: Sendable, CustomTestStringConvertible {
  let name: String
  let make: @Sendable (inout Sampler) throws -> any WireCodable
  let decode: @Sendable ([UInt8]) throws -> any WireCodable
  let areEqual: @Sendable (any WireCodable, any WireCodable) -> Bool

  init<Value: WireCodable & Equatable>(
    _ name: String, _ type: Value.Type = Value.self, _ make: @escaping @Sendable (inout Sampler) throws -> Value
  ) {
    self.name = name
    self.make = make
    decode = { try Value(decoding: $0) }
    areEqual = { ($0 as? Value) == ($1 as? Value) && $0 is Value }
  }

  var testDescription: String { name }

  static func named(_ name: String) -> WireType? { all.first { $0.name == name } }

  static let all: [WireType] = [
    WireType("PeerAddress") { $0.address() },
    WireType("NodeRecord") { $0.nodeRecord() },
    WireType("Accusation") { $0.accusation() },
    WireType("NodeHint") { $0.nodeHint() },
    WireType("NodeList") { $0.nodeList() },
    WireType("Ping") { $0.ping() },
    WireType("Ack") { $0.ack() },
    WireType("Nack") { $0.nack() },
    WireType("PingRequest") { $0.pingRequest() },
    WireType("Envelope") { $0.message().envelope },
    WireType("Message") { WholeMessage($0.message()) },
    WireType("Label") { $0.label() },
    WireType("Resources") { $0.resources() },
    WireType("GPUOffer") { $0.gpuOffer() },
    WireType("Prices") { $0.prices() },
    WireType("OfferTerms") { $0.offerTerms() },
    WireType("JobTerms") { $0.jobTerms() },
    WireType("Input") { $0.input() },
    WireType("JobSpecification") { $0.jobSpecification() },
    WireType("ExitStatus") { $0.exitStatus() },
    WireType("Usage") { $0.usage() },
    WireType("LeaseCommitment") { $0.leaseCommitment() },
    WireType("LeaseResult") { $0.leaseResult() },
    WireType("VoteKey") { $0.voteKey(of: $0.nodeID()) },
    WireType("Evidence") { $0.evidence() },
    WireType("TransactionAction") { $0.action() },
    WireType("Transaction") { $0.transaction() },
    WireType("ChainParameters") { $0.chainParameters() },
    WireType("Balance") { $0.balance() },
    WireType("Genesis") { try $0.genesis() },
    WireType("BlockHeader") { $0.header() },
    WireType("Block") { $0.block() },
    WireType("VoteSubject") { $0.subject() },
    WireType("Vote") { $0.vote($0.subject()) },
    WireType("Certificate") { $0.certificate($0.subject()) },
    WireType("Validator") { $0.validators()[0] },
    WireType("EpochLink") { $0.epochLink() },
    WireType("SnapshotEntry") { $0.snapshotEntry() },
    WireType("MerkleSibling") { $0.merkleSibling() },
    WireType("SnapshotChunk") { $0.snapshotChunk() },
    WireType("ConsensusMessage") { $0.consensus() },
    WireType("GossipMessage") { $0.gossip() },
    WireType("ServiceMessage") { $0.service() },
    WireType("MemberDigest") { $0.memberDigest() },
    WireType("MemberRequest") { $0.memberRequest() },
    WireType("LinkMessage") { $0.link() },
    WireType("Invite") { $0.invite() },
    WireType("GenesisRequest") { $0.genesisRequest() },
    WireType("GenesisAnswer") { $0.genesisAnswer() },
    WireType("DialBackRequest") { $0.dialBackRequest() },
    WireType("DialBackAnswer") { $0.dialBackAnswer() },
    WireType("ConnectRequest") { $0.connectRequest() },
    WireType("ConnectAnswer") { $0.connectAnswer() },
  ]
}
