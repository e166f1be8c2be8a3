import Primitives

@testable import LinkProtocol

/// A frame written by hand, byte for byte, so that the tests do not rest on the code that they test.
func raw(_ type: UInt8, _ flags: UInt16, _ stream: UInt32, _ length: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
  var bytes: [UInt8] = [0, type, UInt8(flags >> 8), UInt8(flags & 0xff)]
  for word in [stream, length] {
    bytes += [UInt8(word >> 24), UInt8(word >> 16 & 0xff), UInt8(word >> 8 & 0xff), UInt8(word & 0xff)]
  }
  return bytes + payload
}

/// A data frame with its payload.
func rawData(_ stream: UInt32, _ payload: [UInt8], flags: UInt16 = 0) -> [UInt8] {
  raw(0, flags, stream, UInt32(payload.count), payload)
}

/// A frame as it stands on the wire.
struct SeenFrame: Equatable {
  var type: UInt8
  var flags: UInt16
  var stream: UInt32
  var length: UInt32

  init(_ type: UInt8, _ flags: UInt16, _ stream: UInt32, _ length: UInt32) {
    self.type = type
    self.flags = flags
    self.stream = stream
    self.length = length
  }
}

/// Reads the headers out of a byte stream in pieces, by itself.
struct WireScanner {
  private var header: [UInt8] = []
  private var skipping = 0

  mutating func scan(_ bytes: [UInt8]) -> [SeenFrame] {
    var seen: [SeenFrame] = []
    var index = 0
    while index < bytes.count {
      if skipping > 0 {
        let count = min(skipping, bytes.count - index)
        skipping -= count
        index += count
        continue
      }
      header.append(bytes[index])
      index += 1
      guard header.count == 12 else { continue }
      func word(_ at: Int) -> UInt32 { header[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) } }
      seen.append(SeenFrame(header[1], UInt16(header[2]) << 8 | UInt16(header[3]), word(4), word(8)))
      if header[1] == 0 { skipping = Int(word(8)) }
      header = []
    }
    return seen
  }
}

func frames(_ bytes: [UInt8]) -> [SeenFrame] {
  var scanner = WireScanner()
  return scanner.scan(bytes)
}

extension YamuxSession {
  /// What the session makes of `bytes`.
  mutating func events(_ bytes: [UInt8]) -> [Event] {
    var events: [Event] = []
    bytes.withUnsafeBytes { receive($0, events: &events) }
    return events
  }

  /// The control frames that are due.
  mutating func controlFrames() -> [SeenFrame] { frames(takeControl()) }
}

/// Events with the pieces of data that follow each other on one stream joined: how the bytes were cut up does not matter.
func joined(_ events: [YamuxSession.Event]) -> [YamuxSession.Event] {
  var result: [YamuxSession.Event] = []
  for event in events {
    if case .data(let id, let more) = event, case .data(id, let before)? = result.last {
      result[result.count - 1] = .data(id, before + more)
    } else {
      result.append(event)
    }
  }
  return result
}

let syn: UInt16 = 1
let ack: UInt16 = 2
let fin: UInt16 = 4
let rst: UInt16 = 8
