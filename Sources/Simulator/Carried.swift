import Core
import Primitives
import Wire

/// A message on its way. Whoever receives the same bytes from the same sender is given what they decoded to the first
/// time, so that a broadcast is encoded once and decoded once; what was changed on the way is other bytes.
final class Carried {
  let message: LinkMessage?
  private var encodedBytes: [UInt8]?
  private var encodedMark: UInt64?
  private var decoded: [(sender: Int, known: UInt64, received: Received)] = []
  /// The last sender whose sending of it the checker has seen.
  var checkedFor = -1

  init(_ message: LinkMessage) { self.message = message }

  /// Bytes that need not be a message.
  init(bytes: [UInt8]) {
    message = nil
    encodedBytes = bytes
  }

  var bytes: [UInt8] {
    if let encodedBytes { return encodedBytes }
    let bytes = message?.encoded ?? []
    encodedBytes = bytes
    return bytes
  }

  /// A hash of the bytes, for the transcript.
  var mark: UInt64 {
    if let encodedMark { return encodedMark }
    var mixer = Mixer()
    mixer.add(bytes)
    encodedMark = mixer.halves.0
    return mixer.halves.0
  }

  /// What the bytes are to a receiver. `known` tells receivers apart that know the validators of different epochs.
  func received(from sender: Int, id: NodeID, by inbound: Inbound, known: UInt64) -> Received {
    if let entry = decoded.first(where: { $0.sender == sender && $0.known == known }) { return entry.received }
    let received = inbound.frame(bytes, from: id)
    decoded.append((sender, known, received))
    return received
  }
}
