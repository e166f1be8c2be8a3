import Wire

/// A final block as the block store keeps it. The certificate is there when the block was the last of its commit.
struct StoredBlock: Hashable, Sendable, WireCodable {
  var block: Block
  var finalization: Certificate?

  init(block: Block, finalization: Certificate?) {
    self.block = block
    self.finalization = finalization
  }

  func encode(into writer: inout WireWriter) {
    writer.value(block)
    writer.optional(finalization) { $0.value($1) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    block = try reader.value()
    finalization = try reader.optional { (reader) throws(WireError) in try reader.value() }
  }
}
