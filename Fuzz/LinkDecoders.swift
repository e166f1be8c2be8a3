import LinkProtocol
import Primitives
import Sodium
import Wire

/// The decoders of what comes over the network before anybody is known: Noise, Yamux, frames, datagrams.
enum LinkDecoders {
  static let all: [LinnetFuzz.Decoder] = [
    LinnetFuzz.Decoder(name: "NoiseInitiator") { noise($0, role: .initiator) },
    LinnetFuzz.Decoder(name: "NoiseResponder") { noise($0, role: .responder) },
    LinnetFuzz.Decoder(name: "NoiseTransport") { transport($0) },
    LinnetFuzz.Decoder(name: "YamuxClient") { yamux($0, role: .client) },
    LinnetFuzz.Decoder(name: "YamuxServer") { yamux($0, role: .server) },
    LinnetFuzz.Decoder(name: "Frame") { frame($0) },
    LinnetFuzz.Decoder(name: "Datagram") { datagram($0) },
  ]

  private static func require(_ condition: Bool, _ message: String) { LinnetFuzz.require(condition, message) }

  // MARK: Noise

  private struct Ends {
    let network = Digest(hashing: Array("linnet-fuzz".utf8))
    let identities: [SigningKey]
    let statics: [KeyAgreementKey]

    init() {
      guard let one = try? SigningKey(seed: [UInt8](repeating: 1, count: 32)),
        let two = try? SigningKey(seed: [UInt8](repeating: 2, count: 32)),
        let first = try? KeyAgreementKey(secret: [UInt8](repeating: 3, count: 32)),
        let second = try? KeyAgreementKey(secret: [UInt8](repeating: 4, count: 32))
      else { LinnetFuzz.fail("no memory for keys") }
      identities = [one, two]
      statics = [first, second]
    }

    func handshake(_ role: NoiseHandshake.Role) -> NoiseHandshake {
      let index = role == .initiator ? 0 : 1
      guard
        let handshake = try? NoiseHandshake(
          role: role, identity: identities[index], networkID: network, staticKey: statics[index])
      else { LinnetFuzz.fail("no memory for a key") }
      return handshake
    }
  }

  private nonisolated(unsafe) static let ends = Ends()

  /// A handshake whose messages are the true ones with bytes of the input put over them: message after message, each as
  /// its length byte says. Nothing but the true messages may complete it.
  private static func noise(_ bytes: [UInt8], role: NoiseHandshake.Role) -> Bool {
    var mine = ends.handshake(role)
    var other = ends.handshake(role == .initiator ? .responder : .initiator)
    var rest = bytes[...]
    var isTrue = true
    var readCount = role == .initiator ? 1 : 0
    while !mine.isComplete {
      do {
        if mine.isToWrite {
          let message = try mine.write()
          if isTrue { try other.read(message) }
        } else {
          var message = isTrue ? try other.write() : []
          // How many bytes of the true message stay, and what comes in the place of the others.
          let kept = Int(rest.popFirst() ?? 255)
          if kept < 255 {
            let replaced = Array(rest.prefix(200))
            rest = rest.dropFirst(200)
            let before = message
            message = Array(message.prefix(kept)) + replaced
            isTrue = isTrue && message == before
          }
          try mine.read(message)
          // The first message proves nothing: whoever knows the network can write one.
          require(isTrue || readCount == 0, "a message that nobody wrote was taken")
          readCount += 1
        }
      } catch {
        require(!mine.isComplete, "a handshake that failed is complete")
        return false
      }
    }
    require(mine.remoteID == ends.identities[role == .initiator ? 1 : 0].id, "the handshake named another")
    return (try? mine.finish()) != nil
  }

  /// Records after a handshake: what was sealed opens once and in order, and nothing else does.
  private static func transport(_ bytes: [UInt8]) -> Bool {
    var one = ends.handshake(.initiator)
    var two = ends.handshake(.responder)
    guard (try? two.read(one.write())) != nil, (try? one.read(two.write())) != nil,
      (try? two.read(one.write())) != nil, var left = try? one.finish(), var right = try? two.finish()
    else { LinnetFuzz.fail("a true handshake failed") }
    var rest = bytes[...]
    var isSound = false
    while let kind = rest.popFirst() {
      let length = min(rest.count, Int(kind >> 2) * 8)
      let text = Array(rest.prefix(length))
      rest = rest.dropFirst(length)
      switch kind & 3 {
      case 0, 1:
        var record = text + [UInt8](repeating: 0, count: NoiseCipher.tagByteCount)
        guard record.withUnsafeMutableBytes({ left.sending.seal($0) }) else { return isSound }
        if kind & 3 == 1, let flip = rest.popFirst() { record[Int(flip) % record.count] ^= 1 | flip }
        let isOpen = record.withUnsafeMutableBytes { right.receiving.open($0) }
        require(isOpen == (kind & 3 == 0) || rest.isEmpty, "a record opens or not as it should not")
        guard isOpen else { return isSound }
        require(record.starts(with: text), "a record holds something else")
        isSound = true
      case 2:
        guard text.count >= NoiseCipher.tagByteCount else { continue }
        var record = text
        require(!record.withUnsafeMutableBytes { right.receiving.open($0) }, "noise opens")
      default:
        guard (try? left.sending.rekey()) != nil, (try? right.receiving.rekey()) != nil else { return isSound }
      }
    }
    return isSound
  }

  // MARK: Yamux

  /// A session that is told bytes in pieces, answers with orders of the input's choice, and must stay within its limits.
  private static func yamux(_ bytes: [UInt8], role: YamuxSession.Role) -> Bool {
    let limits = YamuxLimits(
      maximumStreams: 4, initialWindow: 1_024, maximumFrame: 512, maximumPendingControl: 16, maximumPendingPings: 4,
      tombstones: 4)
    var session = YamuxSession(role: role, limits: limits)
    var rest = bytes[...]
    var received = 0
    var handedOn = 0
    var sawData = false
    while let order = rest.popFirst() {
      switch order & 7 {
      case 0, 1, 2, 3:
        // A frame whose header is at times put right, so that its data is reached.
        var piece = Array(rest.prefix(Int(order >> 3) + 12))
        rest = rest.dropFirst(piece.count)
        if order & 3 != 0, piece.count >= 12 {
          piece[0] = 0
          piece[1] &= 3
          piece[2] = 0
          piece[3] &= 15
          for index in 4...6 { piece[index] = 0 }
          for index in 8...9 { piece[index] = 0 }
        }
        received += piece.count
        var events: [YamuxSession.Event] = []
        piece.withUnsafeBytes { session.receive($0, events: &events) }
        for event in events {
          guard case .data(let stream, let data) = event else { continue }
          handedOn += data.count
          sawData = true
          if order & 3 == 3 { session.consumed(stream, data.count) }
        }
        require(handedOn <= received, "more data than came")
      case 4:
        let control = session.takeControl(maximumByteCount: order & 8 == 0 ? .max : 24)
        require(control.count <= limits.maximumControlByteCount && control.count % 12 == 0, "too much control")
      case 5:
        if let stream = session.open(window: UInt32(order) * 64) {
          _ = session.sendWindow(stream)
        }
      case 6:
        for view in session.streams {
          let window = session.sendWindow(view.id)
          require(window >= 0 && window <= UInt32.max, "a window is negative")
          let count = min(window, Int(order))
          if let header = session.dataHeader(view.id, count: count, isLast: order & 8 != 0) {
            require(header.count == 12, "a header has 12 bytes")
          }
          session.consumed(view.id, Int(order))
        }
      default:
        if let view = session.streams.first { session.reset(view.id) }
        session.ping(UInt32(order))
      }
      require(session.streams.count <= 2 * limits.maximumStreams, "too many streams")
      for view in session.streams {
        require(view.unconsumedBytes <= view.receivedBytes, "more owed than came")
        require(UInt64(view.receiveWindow) <= UInt64(UInt32.max), "a window is too large")
      }
    }
    return sawData && session.violation == nil
  }

  // MARK: Frames

  private static func frame(_ bytes: [UInt8]) -> Bool {
    var assembler = FrameAssembler(maximumFrameByteCount: 4_096, maximumWaitingFrames: 4)
    var rest = bytes[...]
    var given = 0
    var added = 0
    var waiting: [Int] = []
    var isSound = false
    while let order = rest.popFirst() {
      var frames: [[UInt8]] = []
      do {
        if order & 3 == 3 {
          let count = min(waiting.count, Int(order >> 2))
          let size = waiting.prefix(count).reduce(0, +)
          waiting.removeFirst(count)
          given += try assembler.consumed(count, byteCount: size, frames: &frames)
        } else {
          let piece = Array(rest.prefix(Int(order >> 2)))
          rest = rest.dropFirst(piece.count)
          added += piece.count
          given += try assembler.add(piece, frames: &frames)
        }
      } catch {
        return isSound
      }
      for frame in frames {
        require(frame.count <= 4_096, "a frame is too long")
        waiting.append(frame.count)
        isSound = true
      }
      require(given <= added, "more credit than bytes")
      require(assembler.waitingFrames == waiting.count && waiting.count <= 4, "frames are lost or too many")
      require(assembler.heldByteCount <= added, "it holds more than came")
    }
    return isSound
  }

  // MARK: Datagrams

  private static let judge: (id: NodeID, network: Digest) = (
    ends.identities[0].id, Digest(hashing: Array("linnet-fuzz".utf8))
  )

  /// A filter whose clock moves on, told datagrams of the input's choice; half of them are sealed as they should be, so
  /// that what is behind the MACs is reached. No reply is as long as what caused it, and nobody else gets any.
  private static func datagram(_ bytes: [UInt8]) -> Bool {
    var now = Instant(microseconds: 1_000_000)
    let secret = [UInt8](repeating: 7, count: DatagramFilter.secretByteCount)
    var filter = DatagramFilter(id: judge.id, networkID: judge.network, secret: secret, now: now)
    var sender = DatagramFilter(id: ends.identities[1].id, networkID: judge.network, secret: secret, now: now)
    var rest = bytes[...]
    var hasPassed = false
    guard let source = PeerAddress(ip: [10, 78, 0, 2], port: 7_447),
      let here = PeerAddress(ip: [10, 78, 0, 1], port: 7_447)
    else { return false }
    while let order = rest.popFirst() {
      now = now + .milliseconds(Int64(order))
      let length = min(rest.count, 114 + Int(order) * 4)
      var piece = Array(rest.prefix(length))
      rest = rest.dropFirst(length)
      if order & 1 == 1, piece.count > 51 {
        // The header of an envelope: version, kind, network.
        piece[0] = 1
        piece[1] = [16, 17, 18, 19][Int(piece[1] & 3)]
        piece.replaceSubrange(2..<10, with: judge.network.bytes.prefix(8))
        if order & 2 == 2 {
          // And the receiver, behind the author, the sequence and the payload's length of one or two bytes.
          let start = piece[50] < 0x80 ? 51 : 52
          if piece.count >= start + 32 { piece.replaceSubrange(start..<start + 32, with: judge.id.bytes) }
        }
        piece = sender.seal(piece, to: here, receiver: judge.id, now: now) ?? piece
      }
      let isLoaded = order & 4 == 4
      let isMulticast = order & 0x38 == 0x38
      let verdict = piece.withUnsafeBytes {
        filter.judge($0, from: source, isMulticast: isMulticast, underLoad: isLoaded, now: now)
      }
      switch verdict {
      case .pass(let admitted):
        hasPassed = true
        require(admitted.payload.count <= piece.count, "a payload is longer than its datagram")
        require((admitted.renewal?.count ?? 0) < piece.count, "a renewal is longer than its request")
        if order & 8 == 8 { filter.verified(admitted.mac) }
      case .reply(let reply):
        require(reply.count < piece.count, "a reply is as long as what caused it")
        _ = reply.withUnsafeBytes {
          sender.judge($0, from: here, isMulticast: false, underLoad: false, now: now)
        }
      case .resend(let again): require(again.count <= DatagramFormat.maximumByteCount, "too long to send again")
      case .refuse: break
      }
    }
    return hasPassed
  }
}
