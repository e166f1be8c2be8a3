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
  /// True while nothing has come on the connection.
  private(set) var isSilent = true
  private var inbound = ByteBuffer()

  private var keys: LinkKeys?
  private var streams: LinkStreams
  private var liveness: LinkLiveness
  private var progress: LinkProgress
  /// What came and is in no frame yet: this link's part of the registry's `reassemblyByteCount`.
  private(set) var held = HeldBytes()
  private var isDraining = false
  /// Set while the connection is read only to be thrown away.
  private var linger: Scheduled<Void>?

  init(registry: LinkRegistry, dial: Dial?) {
    self.registry = registry
    self.dial = dial
    streams = LinkStreams(role: dial == nil ? .server : .client, configuration: registry.configuration)
    let now = Instant.current()
    liveness = LinkLiveness(configuration: registry.configuration, now: now)
    progress = LinkProgress(configuration: registry.configuration, now: now)
  }

  var direction: LinkDirection { dial == nil ? .inbound : .outbound }

  // MARK: The connection

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    endLinger()
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
    isSilent = false
    port?.bytesIn.add(UInt64(bytes.readableBytes), ordering: .relaxed)
    liveness.heard(.current())
    // Messages are opened in place, and what came is the channel's, too: so it has to be copied, once.
    inbound.discardReadBytes()
    inbound.writeBuffer(&bytes)
    processInbound()
    giveBack()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) { drain() }

  func channelInactive(context: ChannelHandlerContext) {
    endLinger()
    ended(how: "closed by the other side")
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if linger != nil { context.close(promise: nil) }
    ended(how: "\(error)")
  }

  private func ended(how: String) {
    guard !isClosed else { return }
    if port == nil {
      fail(
        TransportError(
          .closedDuringHandshake,
          "The other side closed the connection during the handshake: it may be busy, or no node.",
          cause: how))
    } else {
      close(.lost(how), notice: nil)
    }
  }

  private func processInbound() {
    while !isClosed, let length = inbound.getInteger(at: inbound.readerIndex, as: UInt16.self).map(Int.init) {
      // Judged before the rest is waited for, so that what is no Linnet node is known by its first two bytes.
      guard isAcceptable(length) else {
        if handshake != nil {
          fail(TransportError(.malformedHandshake, "What came is not a handshake message of Linnet."))
        } else {
          close(.violation("garbage"), notice: .protocolError)
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
    guard let handshake else { return length >= NoiseCipher.tagByteCount }
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
    remoteStatic = session.remoteStatic
    let now = Instant.current()
    liveness.heard(now)
    keys = LinkKeys(session, configuration: registry.configuration, now: now)
    let port = LinkPort(
      id: session.remoteID, address: remote, direction: direction, configuration: registry.configuration,
      budget: registry.budget, loop: context.eventLoop, handler: self)
    self.port = port
    registry.established(self, port: port)
    if !isClosed { sendPing(now) }
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

  private func readMessage(_ length: Int) {
    var isAuthentic = false
    var events: [LinkStreams.Event] = []
    // Within the closure only this object's keys and streams change: acting on the events may come back here.
    inbound.readWithUnsafeMutableReadableBytes { buffer -> Int in
      let message = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
      isAuthentic = keys?.open(message) == true
      let plaintext = UnsafeRawBufferPointer(rebasing: message[..<(length - NoiseCipher.tagByteCount)])
      if isAuthentic, !plaintext.isEmpty { streams.receive(plaintext, events: &events) }
      return length
    }
    guard isAuthentic else { return close(.violation("badCiphertext"), notice: .protocolError) }
    if length == NoiseCipher.tagByteCount {
      do {
        guard try keys?.renewReceiving(.current()) == true else {
          return close(.violation("rekeyFlood"), notice: .protocolError)
        }
      } catch {
        close(.failed(error.message), notice: .internalError)
      }
    }
    act(on: events)
  }

  private func act(on events: [LinkStreams.Event]) {
    var handedOn: Set<LinkChannel> = []
    for event in events {
      guard let port, !isClosed else { return }
      switch event {
      case .frame(let channel, let bytes):
        handedOn.insert(channel)
        port.handOn(channel)
        registry.emit(.received(port.id, channel, bytes))
      case .pong(let value): liveness.pong(value, now: .current())
      case .refusedStream: registry.count("refusedStream")
      case .closed(let notice): close(.closedByPeer(notice), notice: nil)
      case .violation(let name): close(.violation(name), notice: .protocolError)
      }
    }
    guard !isClosed else { return }
    let (before, now) = (held.byteCount, Instant.current())
    for channel in LinkChannel.allCases {
      let byteCount = streams.heldByteCount(channel)
      held.update(channel, byteCount: byteCount, hasHandedOn: handedOn.contains(channel), now: now)
    }
    registry.hold(held.byteCount - before, now: now)
  }

  /// Gives credit for the frames that were dealt with, and sends what is due.
  func giveBack() {
    guard let port, !isClosed else { return }
    let dealt = port.takeDealt { streams.heldByteCount($0) > 0 }
    var events: [LinkStreams.Event] = []
    for channel in LinkChannel.allCases {
      let dealt = dealt[channel.index]
      guard dealt.frames > 0 else { continue }
      streams.consumed(channel, frames: dealt.frames, byteCount: dealt.byteCount, events: &events)
    }
    act(on: events)
    drain()
  }

  /// Too much waits to be sent on all links together.
  func relieve(_ byteCount: Int) { registry.relieve(byteCount) }

  /// Looks at the clock: pings, and closes what is silent or stalled. Called some times in each ping interval.
  func tick(_ now: Instant) {
    guard let port, !isClosed else { return }
    switch liveness.due(now) {
    case .nothing: break
    case .ping: sendPing(now)
    case .end: return close(.silent, notice: .normal)
    }
    // A validator that is busy may take no gossip for long, and votes all the while.
    let only: LinkChannel? = registry.preferred.contains(port.id) ? .consensus : nil
    guard !progress.isStalled(port.info.streams, only: only, now: now) else {
      registry.count("slowConsumer")
      return close(.slowConsumer, notice: .normal)
    }
    giveBack()
  }

  private func sendPing(_ now: Instant) {
    // A connection that is full needs no ping to show that it lives.
    guard let context, context.channel.isWritable else { return }
    streams.ping(liveness.ping(now))
    drain()
  }

  /// Sends what waits, most urgent first, as long as the connection takes it.
  func drain() {
    guard let context, let port, !isClosed, !isDraining else { return }
    isDraining = true
    fill(context, port)
    isDraining = false
    guard !isClosed else { return }
    for (channel, isCongested) in port.congestionChanges() {
      registry.emit(.congested(port.id, channel, isCongested))
    }
    port.report(
      LinkPort.Report(
        streams: LinkChannel.allCases.map { streams.info($0) }, rekeys: keys?.rekeys ?? 0,
        roundTrip: liveness.roundTrip))
    // Last, so that a turn which the flush itself makes possible is not mistaken for one inside another.
    context.flush()
  }

  private func fill(_ context: ChannelHandlerContext, _ port: LinkPort) {
    var turn = 0
    while context.channel.isWritable, !isClosed {
      // Before any data, and also when there is no room for any: the other side may be waiting for just this.
      let control = streams.takeControl()
      guard turn < LinkHandler.turnByteCount else {
        if !control.isEmpty { write(control, nil) }
        // The queue still counts as scheduled: nobody else calls.
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { bound.value.drain() }
        return
      }
      let fragment = port.next(maximumByteCount: LinkFormat.maximumDataByteCount - control.count) { streams.window($0) }
      guard fragment != nil || !control.isEmpty, write(control, fragment) else { return }
      turn += control.count + (fragment?.byteCount ?? 0) + NoiseCipher.tagByteCount
      // A full buffer is flushed at once: if the socket takes it all, there is room for more.
      if !context.channel.isWritable { context.flush() }
    }
  }

  /// Writes one message, going on to the next key before it when that is due. False when the link had to be closed.
  @discardableResult private func write(_ control: [UInt8], _ fragment: LinkQueue.Fragment?) -> Bool {
    let now = Instant.current()
    if keys?.isRenewalDue(now) == true {
      guard seal(byteCount: 0, { _ in }) else { return false }
      do { try keys?.renewSending(now) } catch {
        close(.failed(error.message), notice: nil)
        return false
      }
    }
    guard let fragment else { return seal(byteCount: control.count) { $0.writeBytes(control) } }
    guard let header = streams.dataHeader(fragment.channel, byteCount: fragment.byteCount) else {
      close(.failed("more was taken to be sent than there is room for"), notice: .internalError)
      return false
    }
    return seal(byteCount: control.count + header.count + fragment.byteCount) { buffer in
      buffer.writeBytes(control)
      buffer.writeBytes(header)
      if fragment.isFirst { buffer.writeInteger(UInt32(fragment.frame.count)) }
      buffer.writeBytes(fragment.frame[fragment.range])
    }
  }

  /// Seals a message of `byteCount` bytes that `body` writes, and writes it. False when the link had to be closed.
  private func seal(byteCount: Int, _ body: (inout ByteBuffer) -> Void) -> Bool {
    guard let context, let port else { return false }
    let length = byteCount + NoiseCipher.tagByteCount
    var buffer = context.channel.allocator.buffer(capacity: LinkFormat.lengthByteCount + length)
    buffer.writeInteger(UInt16(length))
    body(&buffer)
    buffer.writeRepeatingByte(0, count: NoiseCipher.tagByteCount)
    let isSealed = buffer.withUnsafeMutableReadableBytes {
      keys?.seal(UnsafeMutableRawBufferPointer(rebasing: $0[LinkFormat.lengthByteCount...])) == true
    }
    guard isSealed else {
      close(.failed("the cipher is used up"), notice: nil)
      return false
    }
    port.bytesOut.add(UInt64(buffer.readableBytes), ordering: .relaxed)
    context.write(wrapOutboundOut(buffer), promise: nil)
    return true
  }

  /// Ends the link, telling the other side why when `notice` is given.
  func close(_ reason: LinkCloseReason, notice: LinkNotice?) {
    guard !isClosed else { return }
    if let notice {
      streams.close(notice)
      write(streams.takeControl(), nil)
    }
    guard !isClosed else { return }
    isClosed = true
    port?.discard()
    registry.closed(self, reason)
    port = nil
    context?.flush()
    if notice == nil || !startLinger() { context?.close(promise: nil) }
  }

  // MARK: The end

  /// Ends the sending half of the connection only: a socket that is closed with bytes unread takes back what it sent
  /// last, and the other side would not learn why. What still comes is thrown away, until the other side closes too or
  /// the time is up.
  private func startLinger() -> Bool {
    guard let context, registry.mayLinger(self) else { return false }
    inbound = ByteBuffer()
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    linger = context.eventLoop.scheduleTask(in: TimeAmount(registry.configuration.lingerLimit)) {
      bound.value.context?.close(promise: nil)
      bound.value.endLinger()
    }
    context.close(mode: .output, promise: nil)
    return true
  }

  private func endLinger() {
    guard let scheduled = linger.take() else { return }
    scheduled.cancel()
    registry.lingered(self)
  }
}
