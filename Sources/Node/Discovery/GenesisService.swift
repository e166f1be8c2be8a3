import Wire

/// Tells who was invited what the network begins with. Anybody may ask: the genesis is no secret, and who asks has shown
/// in the handshake that it knows the network's id.
struct GenesisService: Sendable {
  private let encoded: [UInt8]

  init(_ genesis: Genesis) { encoded = genesis.encoded }

  /// Whether the genesis is short enough to be fetched.
  var isServable: Bool { UInt64(encoded.count) <= GenesisAnswer.maximumTotalBytes }

  /// The part that a request asks for; nil for a request that can't be understood, or when there is nothing to serve.
  func answer(_ body: [UInt8]) -> [UInt8]? {
    guard isServable, let request = try? GenesisRequest(decoding: body) else { return nil }
    let start = min(Int(clamping: request.offset), encoded.count)
    let part = encoded[start...].prefix(GenesisAnswer.maximumPartBytes)
    return GenesisAnswer(total: UInt64(encoded.count), bytes: Array(part)).encoded
  }
}
