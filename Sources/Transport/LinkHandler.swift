import LinkProtocol
import NIOCore
import Primitives
import Sodium
import Wire

/// One connection: first its handshake, then its link. Lives on the endpoint's event loop.
final class LinkHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// A connection that this node made.
  struct Dial {
    var address: PeerAddress
    var expecting: NodeID?
  }

  /// What a handshake message of a single byte says instead: why there will be no link. A hint for people, since
  /// nothing authenticates it.
  enum Refusal: UInt8 {
    case wrongNetwork = 1
  }

  // Sealing this much at one turn keeps the loop free for other links.
  private static let turnByteCount = 512 * 1_024

  private let registry: LinkRegistry
  /// Nil for a connection that was accepted.
  let dial: Dial?
  /// The other node's static key of this connection, once known.
  private(set) var remoteStatic: [UInt8] = []
  /// The thread-safe half, once the link is up.
  private(set) var port: LinkPort?
  /// Set by the registry when the link comes up: a newer link has a higher one.
  var number: UInt64 = 0

  private var context: ChannelHandlerContext?
  private var remote: PeerAddress?
  private var handshake: NoiseHandshake?
  private var timeout: Scheduled<Void>?
  private var isClosed = false
  private var inbound = ByteBuffer()

  private var sending: NoiseCipher?
  private var receiving: NoiseCipher?
  private var assembler = FrameAssembler(maximumFrameByteCount: LinkConfiguration.maximumFrameByteCount)
  private var sealedMessages: UInt64 = 0
  private var keyed = Instant.zero

  private var isDraining = false
  private var isReading = true
  private var heard = Instant.zero
  private var pinged = Instant.zero
  private var pingNumber: UInt64 = 0
  private var isPingUnanswered = false
  private var pongDue: [UInt8]?

  init(registry: LinkRegistry, dial: Dial?) {
    self.registry = registry
    self.dial = dial
  }

  var direction: LinkDirection { dial == nil ? .inbound : .outbound }

  // MARK: The connection

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    inbound = context.channel.allocator.buffer(capacity: LinkFormat.maximumMessageByteCount)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    // An accepted connection that broke before it was active ends here and nowhere else; a dialled one, where it
    // was dialled.
    if dial == nil { ended(how: "the connection broke") }
  }

  func channelActive(context: ChannelHandlerContext) {
    guard !isClosed else { return }
    remote = context.channel.remoteAddress.flatMap { PeerAddress($0) }
    guard remote != nil else {
      return fail(TransportError(.connectFailed, "The connection broke before it could be used."))
    }
    timeout = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(registry.configuration.handshakeTimeout)) {
      self.fail(
        TransportError(
          .handshakeTimeout,
          "The other side did not finish the handshake in \(self.registry.configuration.handshakeTimeout)."))
    }
    do throws(TransportError) {
      handshake = try TransportError.mapping { () throws(LinkProtocolError) in
        try NoiseHandshake(
          role: dial == nil ? .responder : .initiator, identity: registry.identity, networkID: registry.networkID,
          staticKey: registry.staticKey)
      }
      try writeHandshake()
    } catch {
      fail(error)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isClosed else { return }
    var bytes = unwrapInboundIn(data)
    port?.bytesIn.add(UInt64(bytes.readableBytes), ordering: .relaxed)
    heard = .current()
    inbound.discardReadBytes()
    inbound.writeBuffer(&bytes)
    processInbound()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) { drain() }

  func channelInactive(context: ChannelHandlerContext) {
    ended(how: "closed by the other side")
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { ended(how: "\(error)") }

  private func ended(how: String) {
    guard !isClosed else { return }
    if port == nil {
      fail(
        TransportError(
          .closedDuringHandshake,
          "The other side closed the connection during the handshake: it may be busy, or no node.",
          cause: how))
    } else {
      close(.lost(how), notice: .unspecified)
    }
  }

  private func processInbound() {
    while !isClosed, let length = inbound.getInteger(at: inbound.readerIndex, as: UInt16.self).map(Int.init) {
      // Judged before the rest is waited for, so that what is no Linnet node is known by its first two bytes.
      guard isAcceptable(length) else {
        if handshake != nil {
          fail(TransportError(.malformedHandshake, "What came is not a handshake message of Linnet."))
        } else {
          close(.violation("garbage"), notice: .misbehaviour)
        }
        return
      }
      guard inbound.readableBytes >= LinkFormat.lengthByteCount + length else { return }
      inbound.moveReaderIndex(forwardBy: LinkFormat.lengthByteCount)
      if handshake != nil {
        readHandshake(inbound.readBytes(length: length) ?? [])
      } else {
        readMessage(length)
      }
    }
  }

  private func isAcceptable(_ length: Int) -> Bool {
    guard let handshake else { return length > NoiseCipher.tagByteCount }
    return length == handshake.expectedByteCount || (dial != nil && length == 1)
  }

  // MARK: The handshake

  private func writeHandshake() throws(TransportError) {
    guard let context, handshake?.isToWrite == true,
      let message = try TransportError.mapping({ () throws(LinkProtocolError) in try handshake?.write() })
    else { return }
    var buffer = context.channel.allocator.buffer(capacity: LinkFormat.lengthByteCount + message.count)
    buffer.writeInteger(UInt16(message.count))
    buffer.writeBytes(message)
    context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
  }

  private func readHandshake(_ message: [UInt8]) {
    if message.count == 1, dial != nil {
      return fail(
        Refusal(rawValue: message[0]) == .wrongNetwork
          ? TransportError(.wrongNetwork, "The other side says that it is a node of another network.")
          : TransportError(.closedDuringHandshake, "The other side refused the handshake."))
    }
    do throws(TransportError) {
      try TransportError.mapping { () throws(LinkProtocolError) in try handshake?.read(message) }
      // The initiator knows here whom it reached, before the other side knows anything.
      if let dial, let id = handshake?.remoteID { try registry.check(dial, reached: id) }
      try writeHandshake()
      guard handshake?.isComplete == true,
        let session = try TransportError.mapping({ () throws(LinkProtocolError) in try handshake?.finish() })
      else { return }
      establish(session)
    } catch {
      if error.code == .wrongNetwork, let context {
        var buffer = context.channel.allocator.buffer(capacity: LinkFormat.lengthByteCount + 1)
        buffer.writeInteger(UInt16(1))
        buffer.writeInteger(Refusal.wrongNetwork.rawValue)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
      }
      fail(error)
    }
  }

  private func establish(_ session: NoiseHandshake.Session) {
    guard let context, let remote else { return }
    handshake = nil
    timeout?.cancel()
    sending = session.sending
    receiving = session.receiving
    remoteStatic = session.remoteStatic
    heard = .current()
    keyed = heard
    let port = LinkPort(
      id: session.remoteID, address: remote, direction: direction, queueLimits: registry.configuration.queueLimits,
      budget: registry.budget, loop: context.eventLoop, handler: self)
    self.port = port
    registry.established(self, port: port)
    if !isClosed { sendPing(heard) }
  }

  /// Ends a connection whose handshake is not done.
  func fail(_ error: TransportError) {
    guard !isClosed else { return }
    isClosed = true
    handshake = nil
    timeout?.cancel()
    registry.handshakeFailed(self, remote: remote, error)
    context?.close(promise: nil)
  }

  // MARK: The link

  private enum Incoming {
    case nothing
    case frame(LinkChannel, [UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(LinkNotice)
    case rekey
    case violation(String)
  }

  private func readMessage(_ length: Int) {
    let held = assembler.byteCount
    // Within the closure only this object's ciphers and frames change: acting on the message may come back here.
    let incoming = inbound.readWithUnsafeMutableReadableBytes { buffer -> (Int, Incoming) in
      let message = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
      guard receiving?.open(message) == true else { return (length, .violation("badCiphertext")) }
      return (length, parse(UnsafeRawBufferPointer(rebasing: message[..<(length - NoiseCipher.tagByteCount)])))
    }
    registry.reassemblyByteCount += assembler.byteCount - held
    guard registry.reassemblyByteCount <= registry.configuration.reassemblyByteCount else {
      return close(.violation("reassemblyLimit"), notice: .misbehaviour)
    }
    act(on: incoming)
  }

  private func parse(_ plaintext: UnsafeRawBufferPointer) -> Incoming {
    let body = UnsafeRawBufferPointer(rebasing: plaintext[1...])
    switch plaintext[0] {
    case 0...(LinkFormat.channelMask | LinkFormat.moreFlag):
      guard let channel = LinkChannel(rawValue: plaintext[0] & LinkFormat.channelMask) else { return .nothing }
      do throws(FrameAssembler.Refusal) {
        let frame = try assembler.add(body, channel: channel, isFollowed: plaintext[0] & LinkFormat.moreFlag != 0)
        return frame.map { .frame(channel, $0) } ?? .nothing
      } catch {
        return .violation("\(error)")
      }
    case LinkFormat.ping where body.count == LinkFormat.pingByteCount: return .ping(Array(body))
    case LinkFormat.pong where body.count == LinkFormat.pingByteCount: return .pong(Array(body))
    case LinkFormat.close where body.count == 1: return .close(LinkNotice(rawValue: body[0]) ?? .unspecified)
    case LinkFormat.rekey where body.isEmpty: return .rekey
    default: return .violation("garbage")
    }
  }

  private func act(on incoming: Incoming) {
    guard let port else { return }
    switch incoming {
    case .nothing: break
    case .frame(let channel, let bytes): registry.emit(.received(port.id, channel, bytes))
    case .ping(let number):
      // Only the latest is answered when the connection is full: pings cannot pile up answers.
      pongDue = number
      drain()
    case .pong(let number): takePong(number)
    case .close(let notice): close(.closedByPeer(notice), notice: nil)
    case .rekey:
      do { try receiving?.rekey() } catch { close(.failed(error.message), notice: .unspecified) }
    case .violation(let name): close(.violation(name), notice: .misbehaviour)
    }
  }

  private func takePong(_ number: [UInt8]) {
    guard isPingUnanswered, number == bytes(of: pingNumber), let port else { return }
    isPingUnanswered = false
    let sample = UInt64(max(1, (heard - pinged).count))
    let old = port.roundTripMicroseconds.load(ordering: .relaxed)
    // Smoothed by an eighth, as TCP does (RFC 6298).
    port.roundTripMicroseconds.store(old == 0 ? sample : (old * 7 + sample) / 8, ordering: .relaxed)
  }

  private func bytes(of number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

  /// Looks at the clock: pings, and closes what is silent. Called some times in each ping interval.
  func tick(_ now: Instant) {
    guard port != nil, !isClosed else { return }
    let configuration = registry.configuration
    // While this side does not read, it is not the other one that is silent.
    if isReading && now - heard >= configuration.silenceLimit { return close(.silent, notice: .unspecified) }
    let sincePing = now - pinged
    let isIdle = now - heard >= configuration.pingInterval && sincePing >= configuration.pingInterval
    if isIdle || sincePing >= configuration.pingInterval * 6 { sendPing(now) }
  }

  private func sendPing(_ now: Instant) {
    // A connection that is full needs no ping to show that it lives.
    guard let context, context.channel.isWritable else { return }
    pingNumber &+= 1
    pinged = now
    isPingUnanswered = true
    if write(header: LinkFormat.ping, bytes(of: pingNumber)[...]) { context.flush() }
  }

  /// Sends what waits, most urgent first, as long as the connection takes it.
  func drain() {
    guard let context, let port, !isClosed, !isDraining else { return }
    isDraining = true
    fill(context, port)
    isDraining = false
    // Last, so that a turn which the flush itself makes possible is not mistaken for one inside another.
    context.flush()
  }

  private func fill(_ context: ChannelHandlerContext, _ port: LinkPort) {
    var turn = 0
    while context.channel.isWritable, !isClosed {
      if let number = pongDue {
        pongDue = nil
        guard write(header: LinkFormat.pong, number[...]) else { return }
      }
      guard turn < LinkHandler.turnByteCount else {
        // The queue still counts as scheduled: nobody else calls.
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { bound.value.drain() }
        return
      }
      guard let fragment = port.next() else { return }
      let header = fragment.channel.rawValue | (fragment.isFollowed ? LinkFormat.moreFlag : 0)
      guard write(header: header, fragment.frame[fragment.range]) else { return }
      turn += fragment.range.count + NoiseCipher.tagByteCount
      // A full buffer is flushed at once: if the socket takes it all, there is room for more.
      if !context.channel.isWritable { context.flush() }
    }
  }

  /// Seals one message and writes it, rekeying before it when that is due. False when the link had to be closed.
  private func write(header: UInt8, _ body: ArraySlice<UInt8>) -> Bool {
    let configuration = registry.configuration
    let now = Instant.current()
    if sealedMessages >= configuration.rekeyMessages || now - keyed >= configuration.rekeyInterval {
      sealedMessages = 0
      keyed = now
      guard writeSealed(header: LinkFormat.rekey, []) else { return false }
      do { try sending?.rekey() } catch {
        close(.failed(error.message), notice: nil)
        return false
      }
    }
    return writeSealed(header: header, body)
  }

  private func writeSealed(header: UInt8, _ body: ArraySlice<UInt8>) -> Bool {
    guard let context, let port else { return false }
    let length = 1 + body.count + NoiseCipher.tagByteCount
    var buffer = context.channel.allocator.buffer(capacity: LinkFormat.lengthByteCount + length)
    buffer.writeInteger(UInt16(length))
    buffer.writeInteger(header)
    buffer.writeBytes(body)
    buffer.writeRepeatingByte(0, count: NoiseCipher.tagByteCount)
    let sealed = buffer.withUnsafeMutableReadableBytes {
      sending?.seal(UnsafeMutableRawBufferPointer(rebasing: $0[LinkFormat.lengthByteCount...])) == true
    }
    guard sealed else {
      close(.failed("the cipher is used up"), notice: nil)
      return false
    }
    sealedMessages += 1
    port.bytesOut.add(UInt64(buffer.readableBytes), ordering: .relaxed)
    context.write(wrapOutboundOut(buffer), promise: nil)
    return true
  }

  /// Stops or resumes reading from the socket.
  func setReading(_ isEnabled: Bool) {
    guard let context, !isClosed else { return }
    isReading = isEnabled
    heard = .current()
    context.channel.setOption(.autoRead, value: isEnabled).whenFailure { _ in }
  }

  /// Ends the link, telling the other side why when `notice` is given.
  func close(_ reason: LinkCloseReason, notice: LinkNotice?) {
    guard !isClosed else { return }
    if let notice, let context, writeSealed(header: LinkFormat.close, [notice.rawValue]) { context.flush() }
    guard !isClosed else { return }
    isClosed = true
    registry.reassemblyByteCount -= assembler.byteCount
    port?.discard()
    registry.closed(self, reason)
    port = nil
    context?.close(promise: nil)
  }
}
