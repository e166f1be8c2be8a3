import Blobs
import Glibc
import Primitives
import Wire

/// libFuzzer over the decoders, those of the links in LinkDecoders.swift. `LINNET_FUZZ_DECODER` names one of `decoders`; the arguments are libFuzzer's. Whatever
/// decodes must encode to the very bytes it came from: anything else is a crash here, as is every trap and every fault
/// that AddressSanitizer sees. Built and run by scripts/fuzz.
@main enum LinnetFuzz {
  /// One decoder: true when it accepts the input.
  struct Decoder: Sendable {
    var name: String
    var accepts: @Sendable ([UInt8]) -> Bool
  }

  static let decoders: [Decoder] = wireDecoders + LinkDecoders.all

  private static let wireDecoders: [Decoder] = [
    Decoder(name: "Message") { bytes in
      guard let envelope = canonical(Envelope.self, bytes), let message = try? Message(envelope) else { return false }
      require(message.body.payload == envelope.payload, "a payload has two forms")
      require(message.body.kind == envelope.kind && message.id == Digest(hashing: bytes), "a message is another")
      return true
    },
    Decoder(name: "Transaction") { canonical(Transaction.self, $0) != nil },
    Decoder(name: "LinkMessage") { canonical(LinkMessage.self, $0) != nil },
    Decoder(name: "Genesis") { bytes in
      guard let genesis = canonical(Genesis.self, bytes) else { return false }
      return genesis.validatorSet.count > 0
    },
    Decoder(name: "JobSpecification") { canonical(JobSpecification.self, $0) != nil },
    Decoder(name: "StoredBlock") { canonical(StoredBlock.self, $0) != nil },
    Decoder(name: "BlockWithoutRoot") { bytes in blockWithoutRoot(bytes) },
    Decoder(name: "Certificate") { bytes in
      guard let certificate = canonical(Certificate.self, bytes) else { return false }
      require(certificate.votes.count == certificate.signatures.count, "a signature is nobody's")
      return true
    },
    Decoder(name: "Evidence") { bytes in
      guard let evidence = canonical(Evidence.self, bytes) else { return false }
      require(
        Evidence(key: evidence.key, evidence.second, evidence.first) == evidence, "evidence depends on its order")
      require(evidence.epoch == evidence.second.subject.epoch && !evidence.kind.name.isEmpty, "evidence of two epochs")
      return true
    },
    Decoder(name: "VoteKey") { canonical(VoteKey.self, $0) != nil },
    Decoder(name: "EpochLink") { bytes in
      guard let link = canonical(EpochLink.self, bytes) else { return false }
      require(link.nextSet.digest == link.header.nextValidators, "a link names other validators than its header")
      return true
    },
    Decoder(name: "EpochLinkWithoutDigest") { bytes in epochLinkWithoutDigest(bytes) },
    Decoder(name: "SnapshotChunk") { canonical(SnapshotChunk.self, $0) != nil },
    Decoder(name: "SnapshotEntry") { canonical(SnapshotEntry.self, $0) != nil },
    Decoder(name: "MerkleSibling") { canonical(MerkleSibling.self, $0) != nil },
    Decoder(name: "NodeRecord") { canonical(NodeRecord.self, $0) != nil },
    Decoder(name: "NodeList") { bytes in
      guard let list = canonical(NodeList.self, bytes) else { return false }
      let again = try? NodeList(expiresUnixSeconds: list.expiresUnixSeconds, nodes: list.nodes.reversed())
      require(again == list || bytes.count > NodeList.maximumBytes, "a list that was read is not made")
      return true
    },
    Decoder(name: "MemberDigest") { bytes in
      guard let digest = canonical(MemberDigest.self, bytes) else { return false }
      for count in MemberDigest.bucketCounts where count <= digest.buckets.count {
        guard let folded = digest.folded(to: count) else { fail("a digest does not fold") }
        require(folded.differences(from: digest).buckets.isEmpty, "a digest differs from itself")
      }
      return true
    },
    Decoder(name: "MemberRequest") { bytes in
      guard let request = canonical(MemberRequest.self, bytes) else { return false }
      let again = MemberRequest(count: Int(request.bucketCount), buckets: request.buckets)
      require(again == request, "a request that was read is not made")
      return true
    },
    Decoder(name: "Invite") { bytes in
      guard let invite = canonical(Invite.self, bytes) else { return false }
      require((try? Invite(text: invite.text)) == invite, "an invite's text is another's")
      return true
    },
    Decoder(name: "InviteText") { bytes in
      guard let invite = try? Invite(text: String(decoding: bytes, as: UTF8.self)) else { return false }
      require(invite.text.utf8.elementsEqual(bytes), "an invite has two texts")
      return true
    },
    Decoder(name: "GenesisAnswer") { canonical(GenesisAnswer.self, $0) != nil },
    Decoder(name: "DialBackAnswer") { canonical(DialBackAnswer.self, $0) != nil },
    Decoder(name: "ConnectRequest") { canonical(ConnectRequest.self, $0) != nil },
    Decoder(name: "PeerAddressText") { bytes in
      guard let address = PeerAddress(text: String(decoding: bytes, as: UTF8.self)) else { return false }
      require(PeerAddress(text: address.description) == address, "the text of an address is another's")
      require((try? PeerAddress(decoding: address.encoded)) == address, "an address that was read can't be sent")
      return true
    },
    Decoder(name: "NodeIDText") { bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      // No mutation finds a checksum, so what the text could carry goes through both ways as well.
      let carried = Array(bytes.prefix(50))
      require(Bech32m.decode(Bech32m.encode(carried, prefix: "ln"), prefix: "ln") == carried, "bech32m loses bytes")
      guard let carried = Bech32m.decode(text, prefix: "ln") else { return false }
      require(Bech32m.encode(carried, prefix: "ln").utf8.elementsEqual(text.utf8), "bech32m has two forms")
      return NodeID(text: text) != nil
    },
    Decoder(name: "BlobRequest") { bytes in
      guard let request = try? BlobRequest(decoding: bytes) else { return false }
      require(request.encoded() == bytes, "a blob request has two forms")
      return true
    },
    Decoder(name: "BlobChunks") { bytes in
      guard let chunks = try? BlobChunk.decode(bytes) else { return false }
      require(BlobChunk.encode(chunks) == bytes, "an answer with chunks has two forms")
      for chunk in chunks { _ = BlobTree.kind(of: chunk, under: .zero) }
      return true
    },
    Decoder(name: "DirectoryManifest") { bytes in
      guard let entries = try? DirectoryManifest.decode(bytes) else { return false }
      require((try? DirectoryManifest.encode(entries)) == bytes, "a directory has two forms")
      return true
    },
  ]

  /// A block as a store keeps it: with the certificate that finalizes it, or without.
  struct StoredBlock: WireCodable {
    var block: Block
    var finalization: Certificate?

    func encode(into writer: inout WireWriter) {
      writer.value(block)
      writer.optional(finalization) { $0.value($1) }
    }

    init(from reader: inout WireReader) throws(WireError) {
      block = try reader.value()
      finalization = try reader.optional { (reader) throws(WireError) in try reader.value() }
    }
  }

  /// A block whose root is put right: mutations get past the hash that hides what is behind it.
  static func blockWithoutRoot(_ bytes: [UInt8]) -> Bool {
    var reader = WireReader(bytes)
    guard var header = try? reader.value(BlockHeader.self),
      let envelopes: [Envelope] = try? reader.array(limit: Block.maximumTransactions, what: "transactions")
    else { return false }
    let messages = envelopes.filter { $0.kind == .transaction }.compactMap { try? Message($0) }
    header.transactionsRoot = Block.transactionsRoot(messages.map(\.id))
    guard let block = Block(header: header, transactions: messages) else {
      fail("a block with its own root is refused")
    }
    require((try? Block(decoding: block.encoded)) == block, "a block reads back as another")
    return true
  }

  /// A link whose header names the validators that follow, and whose finalization names the header.
  static func epochLinkWithoutDigest(_ bytes: [UInt8]) -> Bool {
    var reader = WireReader(bytes)
    guard var header = try? reader.value(BlockHeader.self), let old = try? reader.value(Certificate.self),
      let next: [Validator] = try? reader.array(limit: ValidatorSet.maximumCount, what: "validators"),
      old.subject.kind != .nullify
    else { return false }
    header.nextValidators = ValidatorSet.digest(of: next)
    var writer = WireWriter()
    writer.value(
      VoteSubject.finalize(
        epoch: header.epoch, view: old.subject.view, parentView: old.subject.parentView, blockID: header.id))
    writer.raw(Array(old.encoded.dropFirst(old.subject.encoded.count)))
    guard let finalization = try? Certificate(decoding: writer.bytes) else {
      fail("a certificate on another block is refused")
    }
    guard let link = EpochLink(header: header, finalization: finalization, next: next) else {
      require(
        header.epoch == .max || ValidatorSet(epoch: 0, validators: next) == nil, "a link of a sound set is refused")
      return false
    }
    require((try? EpochLink(decoding: link.encoded)) == link, "a link reads back as another")
    return true
  }

  static func canonical<Value: WireCodable>(_ type: Value.Type, _ bytes: [UInt8]) -> Value? {
    guard let value = try? Value(decoding: bytes) else { return nil }
    require(value.encoded == bytes, "a value has two encodings")
    return value
  }

  static func require(_ condition: Bool, _ message: String) {
    if !condition { fail(message) }
  }

  static func fail(_ message: String) -> Never {
    let line = Array("linnet-fuzz: \(message)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    abort()
  }

  // libFuzzer calls from one thread.
  nonisolated(unsafe) static var chosen: Decoder?
  nonisolated(unsafe) static var counts = (inputs: 0, accepted: 0)

  static func main() {
    let name = getenv("LINNET_FUZZ_DECODER").map { String(cString: $0) }
    chosen = decoders.first { $0.name == name }
    guard chosen != nil else {
      print(decoders.map(\.name).joined(separator: "\n"))
      return
    }
    atexit {
      print("inputs \(LinnetFuzz.counts.inputs) accepted \(LinnetFuzz.counts.accepted)")
    }
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    let status = runDriver(&count, &arguments) { data, size in
      let bytes = Array(UnsafeBufferPointer(start: data, count: size))
      LinnetFuzz.counts.inputs += 1
      if LinnetFuzz.chosen?.accepts(bytes) == true { LinnetFuzz.counts.accepted += 1 }
      return 0
    }
    exit(status)
  }
}

@_silgen_name("LLVMFuzzerRunDriver") private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt
