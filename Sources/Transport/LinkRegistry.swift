import LinkProtocol
import Logging
import NIOCore
import Primitives
import Sodium
import Wire

// Which link stays when there are two to one node, by the rules:
// 1. A node that dials learns whom it reached before the other side learns anything. If it has a link to that node
//    already, it gives the new connection up.
// 2. So two links meet only when both nodes dialled each other at once, or when one of them has lost the old link
//    without the other knowing. Of two links dialled by different nodes, the one that the lower id dialled stays.
// 3. Of two links dialled by the same node, the newer stays: by rule 1 the dialling side has no other.
// 4. A link made by another process of the same node (its static key is another) replaces the old one in any case: the
//    old process is gone.
//
// When there is no room for a further link: one to a preferred node takes the place of one that is not, of the newest that
// was accepted, or else of the newest; any other is refused. So that nobody who has many addresses takes all the places,
// accepted links to nodes that are not preferred have no more than a share of them, and those from one prefix no more than
// a few. Accepted and dialled connections have budgets of their own
// until their handshakes are done, so that strangers who connect and say nothing keep this node from no dial of its own.

/// The links and handshakes of one endpoint. Lives on the endpoint's event loop.
final class LinkRegistry {
  let identity: SigningKey
  let networkID: Digest
  let staticKey: KeyAgreementKey
  let configuration: LinkConfiguration
  private let counters: TransportCounters
  private let logger: Logger
  private let onEvent: @Sendable (LinkEvent) -> Void
  private let onRoute: @Sendable (NodeID, LinkPort?) -> Void
  // Who closes links faster than they are read to the end is not waited for.
  private static let maximumLingering = 256

  private var links: [NodeID: LinkHandler] = [:]
  /// How many links ever came up: the newest has the highest number.
  private var establishedCount: UInt64 = 0
  /// The connections whose handshakes are under way, by who made them.
  private var accepted: [ObjectIdentifier: LinkHandler] = [:]
  private var places: HandshakePlaces<ObjectIdentifier>
  private var dialled: [ObjectIdentifier: LinkHandler] = [:]
  /// The nodes whose links come first when there is no room for all.
  var preferred: Set<NodeID> = []
  private var limiter: PrefixLimiter
  private let allowance: TokenBucket.Allowance
  private var everyone: TokenBucket
  private var isStopped = false
  private var bans = LinkBans()
  /// Closed links whose other side may not have read why yet.
  private var lingering: Set<ObjectIdentifier> = []
  private var lingered: EventLoopPromise<Void>?
  /// What may wait to be sent on all links.
  let budget: LinkPort.Budget
  /// Bytes that came and are in no frame yet, of all links.
  private var reassemblyByteCount = 0

  /// - Parameter onRoute: told of each link that comes up, and of each that goes, before the event.
  init(
    identity: SigningKey, networkID: Digest, staticKey: KeyAgreementKey, configuration: LinkConfiguration,
    counters: TransportCounters, logger: Logger, onEvent: @escaping @Sendable (LinkEvent) -> Void,
    onRoute: @escaping @Sendable (NodeID, LinkPort?) -> Void
  ) {
    self.identity = identity
    self.networkID = networkID
    self.staticKey = staticKey
    self.configuration = configuration
    self.counters = counters
    self.logger = logger
    self.onEvent = onEvent
    self.onRoute = onRoute
    places = HandshakePlaces(
      maximum: configuration.maximumHandshakes, maximumOfPrefix: configuration.maximumHandshakesPerPrefix)
    limiter = PrefixLimiter(
      TokenBucket.Allowance(
        ratePerSecond: configuration.handshakesPerSecondPerPrefix, burst: configuration.handshakeBurstPerPrefix),
      now: .current())
    allowance = TokenBucket.Allowance(
      ratePerSecond: configuration.handshakesPerSecond, burst: configuration.handshakeBurst)
    everyone = TokenBucket(allowance, now: .current())
    budget = LinkPort.Budget(limit: configuration.queueByteCount, links: configuration.maximumLinks)
  }

  func emit(_ event: LinkEvent) { onEvent(event) }

  func count(_ name: String) { counters.add(name) }

  /// The handler of a connection that was accepted; nil when the limits have no room for it.
  func accept(from address: PeerAddress) -> LinkHandler? {
    let now = Instant.current()
    let prefix = address.prefix
    let room = places.room(
      for: prefix, isSilent: { accepted[$0]?.isSilent == true }, chance: { Int.random(in: 0..<$0) })
    guard !isStopped, room != .full, limiter.take(address, now: now), everyone.take(allowance, now: now) else {
      counters.add(TransportError.Code.tooManyHandshakes.rawValue)
      return nil
    }
    if case .of(let other) = room {
      accepted[other]?.fail(
        TransportError(.tooManyHandshakes, "Too many connections are being made: this one gave its place to another."))
    }
    let handler = LinkHandler(registry: self, dial: nil)
    accepted[ObjectIdentifier(handler)] = handler
    places.insert(ObjectIdentifier(handler), from: prefix)
    return handler
  }

  /// The handler of a connection to be made.
  ///
  /// - Throws: `TransportError` with code `unusableAddress`, `ownIdentity`, `banned`, `alreadyLinked` or `tooManyDials`.
  func prepare(_ dial: LinkHandler.Dial) throws(TransportError) -> LinkHandler {
    guard dial.address.isUsable else {
      throw TransportError(.unusableAddress, "\(dial.address) is not an address that can be connected to.")
    }
    if let id = dial.expecting { try check(dial, reached: id) }
    let isPreferred = dial.expecting.map { preferred.contains($0) } ?? false
    guard dialled.count < configuration.maximumDials * (isPreferred ? 2 : 1) else {
      throw TransportError(.tooManyDials, "\(dialled.count) connections are being made already: try later.")
    }
    let handler = LinkHandler(registry: self, dial: dial)
    dialled[ObjectIdentifier(handler)] = handler
    return handler
  }

  /// The handshake of a connection is over.
  private func forget(_ handler: LinkHandler) {
    let id = ObjectIdentifier(handler)
    dialled.removeValue(forKey: id)
    if accepted.removeValue(forKey: id) != nil { places.remove(id) }
  }

  /// Judges whom a dial reached, or is to reach.
  ///
  /// - Throws: `TransportError` with code `unexpectedIdentity`, `ownIdentity`, `banned` or `alreadyLinked`.
  func check(_ dial: LinkHandler.Dial, reached id: NodeID) throws(TransportError) {
    guard dial.expecting == nil || dial.expecting == id else {
      throw TransportError(.unexpectedIdentity, "\(dial.address) is node \(id), not the one expected there.")
    }
    guard id != identity.id else {
      throw TransportError(.ownIdentity, "\(dial.address) leads back to this node itself.")
    }
    guard !bans.isBanned(id, now: .current()) else {
      throw TransportError(.banned, "Node \(id) did what it may not, and gets no link for some time.")
    }
    // Rule 1.
    guard links[id] == nil else {
      throw TransportError(.alreadyLinked, "There is a link to node \(id) already.")
    }
  }

  /// A handshake is done: the link is up, or gives way.
  func established(_ handler: LinkHandler, port: LinkPort) {
    forget(handler)
    guard !bans.isBanned(port.id, now: .current()) else {
      counters.add("ban.inbound")
      return handler.close(.requested("banned"), notice: .misbehaviour)
    }
    if let old = links[port.id] {
      guard isPreferred(handler, over: old, other: port.id) else {
        counters.add("duplicateLink")
        return handler.close(.replaced, notice: .replaced)
      }
      counters.add("replacedLink")
      old.close(.replaced, notice: .replaced)
    }
    if let limit = limitReached(by: port) {
      counters.add(limit)
      return handler.close(.requested("too many links"), notice: .tooManyLinks)
    }
    establishedCount += 1
    handler.number = establishedCount
    links[port.id] = handler
    onRoute(port.id, port)
    logger.debug("link up", metadata: ["node": "\(port.id.short)", "address": "\(port.address)"])
    onEvent(.up(port.id, port.address, port.direction))
  }

  /// The limit, by the name of its counter, that leaves no room for a link.
  private func limitReached(by port: LinkPort) -> String? {
    guard links.count < configuration.maximumLinks || makeRoom(for: port.id) else {
      return TransportError.Code.tooManyLinks.rawValue
    }
    guard port.direction == .inbound, !preferred.contains(port.id) else { return nil }
    let inbound = links.values.compactMap(\.port).filter { $0.direction == .inbound && !preferred.contains($0.id) }
    let kept = configuration.maximumLinks / max(1, configuration.outboundShare)
    guard inbound.count < configuration.maximumLinks - kept else { return "tooManyInboundLinks" }
    let prefix = port.address.prefix
    let limit =
      port.address.isPrivate ? configuration.maximumLinksPerPrivatePrefix : configuration.maximumLinksPerPrefix
    return inbound.count { $0.address.prefix == prefix } < limit ? nil : "tooManyLinksPerPrefix"
  }

  /// Ends a link to a node that is not preferred, for one to a node that is. False when there is none to end.
  private func makeRoom(for id: NodeID) -> Bool {
    guard preferred.contains(id) else { return false }
    let others = links.filter { !preferred.contains($0.key) }.values
    guard
      let last = others.filter({ $0.direction == .inbound }).max(by: { $0.number < $1.number })
        ?? others.max(by: { $0.number < $1.number })
    else { return false }
    counters.add("displacedLink")
    last.close(.requested("a validator needs its place"), notice: .tooManyLinks)
    return links.count < configuration.maximumLinks
  }

  private func isPreferred(_ new: LinkHandler, over old: LinkHandler, other: NodeID) -> Bool {
    // Rule 4.
    if new.remoteStatic != old.remoteStatic { return true }
    // Rule 3.
    if new.direction == old.direction { return true }
    // Rule 2.
    return new.direction == (identity.id < other ? .outbound : .inbound)
  }

  /// A connection ended before its handshake was done.
  func handshakeFailed(_ handler: LinkHandler, remote: PeerAddress?, _ error: TransportError) {
    forget(handler)
    if let dial = handler.dial {
      dialFailed(dial, error)
    } else {
      counters.add(error.code.rawValue)
      logger.debug("handshake refused", metadata: ["from": "\(remote.map { "\($0)" } ?? "?")", "why": "\(error)"])
    }
  }

  /// A dial came to nothing.
  func dialFailed(_ dial: LinkHandler.Dial, _ error: TransportError) {
    counters.add(error.code == .banned ? "ban.dial" : "dial." + error.code.rawValue)
    logger.debug("dial failed", metadata: ["address": "\(dial.address)", "why": "\(error)"])
    onEvent(.dialFailed(dial.address, dial.expecting, error))
  }

  /// More bytes came on a link that are in no frame yet, or fewer are left. When all links together hold too many, the one
  /// that has held most for longest ends, the newest of several; one to a preferred node only when no other holds any.
  func hold(_ byteCount: Int, now: Instant) {
    reassemblyByteCount += byteCount
    func rank(_ id: NodeID, _ handler: LinkHandler) -> (Int, Int, UInt64) {
      (preferred.contains(id) ? 0 : 1, handler.held.claim(now), handler.number)
    }
    while reassemblyByteCount > configuration.reassemblyByteCount,
      let most = links.filter({ $0.value.held.byteCount > 0 }).max(by: {
        rank($0.key, $0.value) < rank($1.key, $1.value)
      })
    {
      most.value.close(.violation("reassemblyLimit"), notice: .protocolError)
    }
  }

  /// A frame of so many bytes found no room, since too much waits on all links together: that on which most wait gives way,
  /// the newest of several, but for those to preferred nodes and those with no more than their share.
  func relieve(_ byteCount: Int) {
    budget.isRelieving.store(false, ordering: .relaxed)
    while budget.isFull(for: byteCount),
      let most = links.filter({ !preferred.contains($0.key) }).values
        .map({ (handler: $0, byteCount: $0.port?.waitingByteCount ?? 0) })
        .max(by: { ($0.byteCount, $0.handler.number) < ($1.byteCount, $1.handler.number) }),
      most.byteCount > budget.share
    {
      counters.add("slowConsumer")
      most.handler.close(.slowConsumer, notice: .normal)
    }
  }

  /// A link ended.
  func closed(_ handler: LinkHandler, _ reason: LinkCloseReason) {
    reassemblyByteCount -= handler.held.byteCount
    if case .violation(let name) = reason { counters.add(name) }
    guard let port = handler.port, links[port.id] === handler else {
      // It gave way before it was up. Who dialled hears of it all the same.
      if let dial = handler.dial {
        dialFailed(
          dial, TransportError(.alreadyLinked, "The link to \(dial.address) was given up.", cause: "\(reason)"))
      }
      return
    }
    links.removeValue(forKey: port.id)
    onRoute(port.id, nil)
    logger.debug("link down", metadata: ["node": "\(port.id.short)", "why": "\(reason)"])
    onEvent(.down(port.id, reason))
  }

  /// Closes one link; nothing when there is none.
  func close(_ id: NodeID, _ reason: LinkCloseReason, notice: LinkNotice) { links[id]?.close(reason, notice: notice) }

  /// Gives a node no link until then. One that there is stays.
  func ban(_ id: NodeID, until end: Instant) { bans.ban(id, until: end) }

  /// Looks at the clock for all links.
  func tick() {
    let now = Instant.current()
    for handler in links.values { handler.tick(now) }
  }

  /// Whether a link that is closed may stay until the other side has read why.
  func mayLinger(_ handler: LinkHandler) -> Bool {
    guard lingering.count < LinkRegistry.maximumLingering else { return false }
    lingering.insert(ObjectIdentifier(handler))
    return true
  }

  /// A link that stayed is gone.
  func lingered(_ handler: LinkHandler) {
    lingering.remove(ObjectIdentifier(handler))
    if lingering.isEmpty { lingered.take()?.succeed() }
  }

  /// Ends everything. The answer comes when no connection is left that says why it ends.
  func shutdown(_ loop: any EventLoop) -> EventLoopFuture<Void> {
    isStopped = true
    for handler in Array(accepted.values) + Array(dialled.values) {
      handler.fail(TransportError(.notRunning, "This node shuts down."))
    }
    for handler in links.values { handler.close(.shutdown, notice: .normal) }
    guard !lingering.isEmpty else { return loop.makeSucceededVoidFuture() }
    let promise = lingered ?? loop.makePromise(of: Void.self)
    lingered = promise
    return promise.futureResult
  }
}
