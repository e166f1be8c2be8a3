import Primitives

/// What a block commits to. Its hash is the block's id.
public struct BlockHeader: Hashable, Sendable, WireCodable {
  /// The epoch whose validators vote on it. Views begin anew with each epoch.
  public var epoch: UInt64
  /// The view in which the block was first proposed.
  public var view: UInt64
  /// 1 for the first block after the genesis.
  public var height: UInt64
  /// The id of the parent; the network id for the first block, which binds a chain to its network.
  public var parentID: Digest
  /// The view in which the parent was certified; 0 for the genesis and for the last block of the epoch before.
  public var parentView: UInt64
  /// Milliseconds since 1970 by the leader's clock, above the parent's.
  public var timestampMilliseconds: UInt64
  /// The hash of the transaction ids in order.
  public var transactionsRoot: Digest
  /// The state root after the block.
  public var stateRoot: Digest
  /// The digest of the validators of the epoch after the block's (`ValidatorSet.digest`).
  public var nextValidators: Digest
  /// The element of the leader's hash chain for its turn; zero when it has none registered.
  public var reveal: Digest

  /// A header.
  public init(
    epoch: UInt64, view: UInt64, height: UInt64, parentID: Digest, parentView: UInt64, timestampMilliseconds: UInt64,
    transactionsRoot: Digest, stateRoot: Digest, nextValidators: Digest, reveal: Digest
  ) {
    self.epoch = epoch
    self.view = view
    self.height = height
    self.parentID = parentID
    self.parentView = parentView
    self.timestampMilliseconds = timestampMilliseconds
    self.transactionsRoot = transactionsRoot
    self.stateRoot = stateRoot
    self.nextValidators = nextValidators
    self.reveal = reveal
  }

  /// The block's id: the hash of `"linnet/1/block" + 0x00` and the header.
  public var id: Digest { Digest(hashing: Array("linnet/1/block".utf8) + [0] + encoded) }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(epoch)
    writer.varint(view)
    writer.varint(height)
    writer.digest(parentID)
    writer.varint(parentView)
    writer.uint64(timestampMilliseconds)
    writer.digest(transactionsRoot)
    writer.digest(stateRoot)
    writer.digest(nextValidators)
    writer.digest(reveal)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    epoch = try reader.varint()
    view = try reader.varint()
    height = try reader.varint()
    parentID = try reader.digest()
    parentView = try reader.varint()
    timestampMilliseconds = try reader.uint64()
    transactionsRoot = try reader.digest()
    stateRoot = try reader.digest()
    nextValidators = try reader.digest()
    reveal = try reader.digest()
    guard height > 0, view > parentView else { throw .badValue(what: "block header") }
  }
}

/// A header and the transactions it commits to, each a signed envelope.
public struct Block: Hashable, Sendable, WireCodable {
  /// The most transactions of a block.
  public static let maximumTransactions = 4_096
  /// The most bytes of a block's encoding.
  public static let maximumBytes = 2 * 1_024 * 1_024

  /// What the id is the hash of.
  public let header: BlockHeader
  /// The transactions in the order of execution.
  public let transactions: [Message]
  /// The hash of the header.
  public let id: Digest

  /// A block whose header's `transactionsRoot` fits `transactions`; nil otherwise.
  public init?(header: BlockHeader, transactions: [Message]) {
    guard header.transactionsRoot == Block.transactionsRoot(transactions.map(\.id)) else { return nil }
    self.header = header
    self.transactions = transactions
    id = header.id
  }

  /// The hash of `"linnet/1/transactions" + 0x00` and the ids in order.
  public static func transactionsRoot(_ ids: [Digest]) -> Digest {
    var hasher = DigestHasher()
    hasher.update(Array("linnet/1/transactions".utf8) + [0])
    for id in ids { hasher.update(id.bytes) }
    return hasher.finish()
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.value(header)
    writer.array(transactions.map(\.envelope))
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    let before = reader.remaining
    header = try reader.value()
    let envelopes: [Envelope] = try reader.array(limit: Block.maximumTransactions, what: "transactions")
    guard before - reader.remaining <= Block.maximumBytes else { throw .tooLong(what: "block") }
    var messages: [Message] = []
    messages.reserveCapacity(envelopes.count)
    for envelope in envelopes {
      guard envelope.kind == .transaction else { throw .badValue(what: "transaction kind") }
      messages.append(try Message(envelope))
    }
    guard header.transactionsRoot == Block.transactionsRoot(messages.map(\.id)) else {
      throw .badValue(what: "transactions root")
    }
    transactions = messages
    id = header.id
  }
}
