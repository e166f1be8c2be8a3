import Primitives

/// The three kinds of vote of Simplex.
public enum VoteKind: UInt8, CaseIterable, Comparable, Sendable {
  /// "This is the block of the view."
  case notarize = 1
  /// "This view shall have no block."
  case nullify = 2
  /// "This view's block is notarized and I have not nullified the view."
  case finalize = 3

  /// The name that domain-separates signatures.
  public var name: String {
    switch self {
    case .notarize: "notarize"
    case .nullify: "nullify"
    case .finalize: "finalize"
    }
  }

  /// The order that tables and messages rely on.
  public static func < (left: VoteKind, right: VoteKind) -> Bool { left.rawValue < right.rawValue }
}

/// What a vote or a certificate is about. For a nullify, `parentView` is 0 and `blockID` zero.
public struct VoteSubject: Hashable, Comparable, Sendable, WireCodable {
  /// Which of the three.
  public let kind: VoteKind
  /// The epoch of the voters.
  public let epoch: UInt64
  /// The view, from 1.
  public let view: UInt64
  /// The view of the block's parent; 0 for the genesis.
  public let parentView: UInt64
  /// The block; zero for a nullify.
  public let blockID: Digest

  /// A notarize of a block.
  public static func notarize(epoch: UInt64, view: UInt64, parentView: UInt64, blockID: Digest) -> VoteSubject {
    VoteSubject(kind: .notarize, epoch: epoch, view: view, parentView: parentView, blockID: blockID)
  }

  /// A nullify of a view.
  public static func nullify(epoch: UInt64, view: UInt64) -> VoteSubject {
    VoteSubject(kind: .nullify, epoch: epoch, view: view, parentView: 0, blockID: .zero)
  }

  /// A finalize of a block.
  public static func finalize(epoch: UInt64, view: UInt64, parentView: UInt64, blockID: Digest) -> VoteSubject {
    VoteSubject(kind: .finalize, epoch: epoch, view: view, parentView: parentView, blockID: blockID)
  }

  private init(kind: VoteKind, epoch: UInt64, view: UInt64, parentView: UInt64, blockID: Digest) {
    self.kind = kind
    self.epoch = epoch
    self.view = view
    self.parentView = parentView
    self.blockID = blockID
  }

  /// The bytes that a vote signs: `"linnet/1/vote/" + kind + 0x00`, the network id, and the subject.
  public func statement(networkID: Digest) -> [UInt8] {
    var writer = WireWriter()
    writer.raw(Array("linnet/1/vote/\(kind.name)".utf8) + [0])
    writer.digest(networkID)
    encode(into: &writer)
    return writer.bytes
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.uint8(kind.rawValue)
    writer.varint(epoch)
    writer.varint(view)
    if kind != .nullify {
      writer.varint(parentView)
      writer.digest(blockID)
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    guard let kind = VoteKind(rawValue: try reader.uint8()) else { throw .unknownTag(what: "vote kind") }
    self.kind = kind
    epoch = try reader.varint()
    view = try reader.varint()
    if kind == .nullify {
      parentView = 0
      blockID = .zero
    } else {
      parentView = try reader.varint()
      blockID = try reader.digest()
      guard parentView < view else { throw .badValue(what: "parent view") }
    }
    guard view > 0 else { throw .badValue(what: "view") }
  }

  /// The order that tables and messages rely on.
  public static func < (left: VoteSubject, right: VoteSubject) -> Bool {
    if left.epoch != right.epoch { return left.epoch < right.epoch }
    if left.view != right.view { return left.view < right.view }
    if left.kind != right.kind { return left.kind < right.kind }
    if left.parentView != right.parentView { return left.parentView < right.parentView }
    return left.blockID < right.blockID
  }
}

/// One validator's signed vote.
public struct Vote: Hashable, Sendable, WireCodable {
  /// What is voted for.
  public let subject: VoteSubject
  /// The voter's number in the validators of the epoch.
  public let voter: UInt16
  /// Over the subject's statement.
  public let signature: Signature

  init(subject: VoteSubject, voter: UInt16, signature: Signature) {
    self.subject = subject
    self.voter = voter
    self.signature = signature
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.value(subject)
    writer.uint16(voter)
    writer.signature(signature)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    subject = try reader.value()
    voter = try reader.uint16()
    signature = try reader.signature()
  }
}

/// A quorum of votes on one subject: who signed, and the signatures in the order of voter numbers.
public struct Certificate: Hashable, Sendable, WireCodable {
  /// What the votes are for.
  public let subject: VoteSubject
  /// The voter numbers, strictly ascending.
  public let signers: [UInt16]
  /// The signatures, in the order of `signers`.
  public let signatures: [Signature]

  /// Assembles verified votes of one subject, at most one for each voter; nil when they do not agree.
  public static func assemble(_ votes: [Verified<Vote>]) -> Verified<Certificate>? {
    let sorted = votes.map(\.value).sorted { $0.voter < $1.voter }
    guard let subject = sorted.first?.subject, sorted.allSatisfy({ $0.subject == subject }),
      zip(sorted, sorted.dropFirst()).allSatisfy({ $0.voter < $1.voter })
    else { return nil }
    return Verified(
      Certificate(subject: subject, signers: sorted.map(\.voter), signatures: sorted.map(\.signature)))
  }

  init(subject: VoteSubject, signers: [UInt16], signatures: [Signature]) {
    self.subject = subject
    self.signers = signers
    self.signatures = signatures
  }

  /// The votes it was made of.
  public var votes: [Vote] {
    zip(signers, signatures).map { Vote(subject: subject, voter: $0, signature: $1) }
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.value(subject)
    let bytes = (Int(signers.last ?? 0) / 8) + 1
    var bitmap = [UInt8](repeating: 0, count: signers.isEmpty ? 0 : bytes)
    for signer in signers { bitmap[Int(signer) / 8] |= 1 << UInt8(signer % 8) }
    writer.lengthPrefixed(bitmap)
    for signature in signatures { writer.signature(signature) }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    subject = try reader.value()
    let bitmap = try reader.lengthPrefixed(limit: (ValidatorSet.maximumCount + 7) / 8, what: "signers")
    if bitmap.last == 0 { throw .badValue(what: "signers") }
    var signers: [UInt16] = []
    for (index, byte) in bitmap.enumerated() {
      for bit in 0..<8 where byte >> UInt8(bit) & 1 == 1 { signers.append(UInt16(index * 8 + bit)) }
    }
    var signatures: [Signature] = []
    for _ in signers { signatures.append(try reader.signature()) }
    self.signers = signers
    self.signatures = signatures
  }
}
