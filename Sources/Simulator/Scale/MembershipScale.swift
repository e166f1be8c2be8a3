import Broadcast
import Membership
import Primitives
import Wire

/// Thousands of nodes' memberships and broadcasts in virtual time, without the rest of their cores: how fast news
/// spreads, what idling costs, and whether anybody is taken for dead who is not.
///
/// The network is formed when it begins: everyone knows everyone and has `degree` links. Messages are passed by
/// reference and weighed, never encoded. The same options give the same report.
final class MembershipScale {
  /// What goes over a link.
  enum Frame {
    case members([Verified<Message>])
    case digest(MemberDigest)
    case request(MemberRequest)
    case gossip(GossipMessage)
  }

  enum Event {
    case tick(Int)
    case datagram(Verified<Message>, from: Int, to: Int)
    case frame(Frame, from: Int, to: Int)
    case linkUp(Int, Int)
    case linkDown(node: Int, peer: Int)
    case stall(Int)
  }

  /// How long a link to a host that is gone stands before its silence ends it.
  static let silenceLimit = Microseconds.seconds(15)
  static let retransmission = Microseconds.milliseconds(200)
  static let networkID = Digest(hashing: Array("linnet scale".utf8))

  let options: ScaleOptions
  var nodes: [ScaleNode] = []
  var numbers: [NodeID: Int] = [:]
  var wheel = EventWheel<Event>()
  var now = Instant.zero
  var messages = InternedMessages(networkID: MembershipScale.networkID)
  var random: SeededGenerator
  var seeds: SeededGenerator
  var events: UInt64 = 0
  var falseSuspicions = 0
  var falseDowns = 0
  /// Times that a node would hear another no more for its misconduct; all keep to the rules.
  var closings = 0
  /// Who is waited for, and the state that the others are to see.
  var watch: Watch?
  var watchedState = MemberState.alive
  var hops: HopMeter?

  init(_ options: ScaleOptions) {
    self.options = options
    seeds = SeededGenerator(seed: options.seed)
    random = seeds.fork()
    form()
  }

  // MARK: The network at its beginning

  private func form() {
    for _ in 0..<options.count { addNode() }
    let known = KnownMembers(nodes.map(\.membership.ownRecord), settings: options.settings, now: now)
    for node in nodes {
      node.membership.preload(known)
      step(node, BroadcastInput.nodes(options.count))
      node.isSlow = random.chance(partsPerMillion: options.slowPartsPerMillion)
    }
    // Rings in random order: connected, and everyone has two links of each.
    for _ in 0..<max(1, options.settings.degree / 2) {
      var order = Array(0..<options.count)
      random.shuffle(&order)
      for (place, number) in order.enumerated() { link(number, order[(place + 1) % order.count]) }
    }
    for node in nodes {
      step(node, .start)
      if node.isSlow { wheel.add(.stall(node.number), at: now + random.span(upTo: .seconds(20))) }
    }
  }

  @discardableResult private func addNode() -> ScaleNode {
    let node = ScaleNode(
      number: nodes.count, options: options, networkID: MembershipScale.networkID, now: now, random: &seeds)
    nodes.append(node)
    numbers[node.id] = node.number
    messages.add(node.membership.ownRecord)
    return node
  }

  // MARK: The loop

  func run(for span: Microseconds, until isOver: () -> Bool = { false }) {
    let end = now + span
    while wheel.now < end, !isOver() {
      guard let batch = wheel.takeBatch() else { continue }
      now = wheel.now
      events += UInt64(batch.count)
      for event in batch { handle(event) }
    }
    now = wheel.now
  }

  private func handle(_ event: Event) {
    switch event {
    case .tick(let number): tick(nodes[number], event)
    case .datagram(let message, let from, let to):
      guard isReady(nodes[to], event) else { return }
      nodes[to].receivedBytes += UInt64(WireSizes.datagram(message.value.envelope))
      let rumours: [Envelope] =
        switch message.value.body {
        case .ping(let ping): ping.rumours
        case .ack(let ack): ack.rumours
        default: []
        }
      step(
        nodes[to],
        .datagram(message, rumours: rumours.compactMap { messages.message($0) }, from: nodes[from].address))
    case .frame(let frame, let from, let to):
      guard isReady(nodes[to], event), nodes[to].links.contains(from) else { return }
      switch frame {
      case .members(let known): step(nodes[to], .members(known, from: nodes[from].id))
      case .digest(let digest): step(nodes[to], .digest(digest, from: nodes[from].id))
      case .request(let request): step(nodes[to], .memberRequest(request, from: nodes[from].id))
      case .gossip(let message): receive(message, from: from, by: nodes[to])
      }
    case .linkUp(let one, let other): link(one, other)
    case .linkDown(let number, let peer):
      guard isReady(nodes[number], event) else { return }
      unlink(nodes[number], peer)
    case .stall(let number):
      nodes[number].stalledUntil = now + .seconds(1) + random.span(upTo: .seconds(3))
      wheel.add(event, at: nodes[number].stalledUntil + .seconds(1) + random.span(upTo: .seconds(15)))
    }
  }

  private func tick(_ node: ScaleNode, _ event: Event) {
    guard node.wakeAt == now else { return }
    guard isReady(node, event) else {
      if node.isUp { node.wakeAt = wheel.slot(for: node.stalledUntil) }
      return
    }
    node.wakeAt = nil
    if let due = node.broadcastWake, due <= now { step(node, BroadcastInput.tick) }
    if let due = node.membership.nextWake, due <= now { step(node, MembershipInput.tick) } else { schedule(node) }
  }

  /// False for a node that is gone, and for one that is stalled: then the event comes again when it goes on.
  private func isReady(_ node: ScaleNode, _ event: Event) -> Bool {
    guard node.isUp else { return false }
    guard now < node.stalledUntil else { return true }
    wheel.add(event, at: node.stalledUntil)
    return false
  }

  // MARK: Steps

  func step(_ node: ScaleNode, _ input: MembershipInput) {
    var effects: [MembershipEffect] = []
    node.membership.step(input, now: now, identity: &node.identity, into: &effects)
    for effect in effects { perform(effect, by: node) }
    schedule(node)
  }

  func step(_ node: ScaleNode, _ input: BroadcastInput) {
    var effects: [BroadcastEffect] = []
    node.broadcast.step(input, now: now, into: &effects)
    for effect in effects {
      switch effect {
      case .send(let message, let peer): carry(.gossip(message), from: node, to: peer)
      case .close, .muted: closings += 1
      }
    }
    node.broadcastWake = node.broadcast.nextWake
    schedule(node)
  }

  private func schedule(_ node: ScaleNode) {
    guard let wake = [node.membership.nextWake, node.broadcastWake].compactMap({ $0 }).min() else { return }
    let slot = wheel.slot(for: max(wake, node.stalledUntil))
    if let wakeAt = node.wakeAt, wakeAt <= slot, wakeAt > now { return }
    node.wakeAt = slot
    wheel.add(.tick(node.number), at: slot)
  }

  private func perform(_ effect: MembershipEffect, by node: ScaleNode) {
    switch effect {
    case .send(let message, let address, let receiver):
      node.sentBytes += UInt64(WireSizes.datagram(message.value.envelope))
      guard let target = numbers[receiver], nodes[target].address == address,
        !random.chance(partsPerMillion: options.lossPartsPerMillion)
      else { return }
      wheel.add(.datagram(message, from: node.number, to: target), at: now + delay())
    case .exchange(let envelopes, let peer):
      carry(.members(envelopes.compactMap { messages.message($0) }), from: node, to: peer)
    case .digest(let digest, let peer): carry(.digest(digest), from: node, to: peer)
    case .memberRequest(let request, let peer): carry(.request(request), from: node, to: peer)
    case .dial(let address, let peer):
      guard let target = numbers[peer], nodes[target].address == address, nodes[target].isUp else { return }
      wheel.add(.linkUp(node.number, target), at: now + delay() + delay() + delay())
    case .changed(let member, _, let state):
      changed(member, to: state, at: node)
      step(node, BroadcastInput.nodes(node.membership.activeCount))
    default: break
    }
  }

  private func changed(_ member: NodeID, to state: MemberState, at node: ScaleNode) {
    guard let target = numbers[member] else { return }
    if nodes[target].isUp {
      if state == .suspect { falseSuspicions += 1 }
      if state == .down { falseDowns += 1 }
    }
    if target == watch?.target, state == watchedState { watch?.note(node.number, at: now) }
  }

  private func receive(_ message: GossipMessage, from: Int, by node: ScaleNode) {
    let sender = nodes[from].id
    switch message {
    case .publish(let envelopes):
      let received = envelopes.compactMap { messages.message($0) }
      for message in received { hops?.received(message.value.id, by: node.number, from: from, at: now) }
      step(node, BroadcastInput.received(received, from: sender))
    case .announce(let ids): step(node, BroadcastInput.announced(ids, from: sender))
    case .request(let ids): step(node, BroadcastInput.requested(ids, from: sender))
    case .unwanted(let ids): step(node, BroadcastInput.unwanted(ids, from: sender))
    case .graft: step(node, BroadcastInput.graft(from: sender))
    case .prune(_, let backoffSeconds):
      step(node, BroadcastInput.prune(backoffSeconds: backoffSeconds, from: sender))
    }
  }

  // MARK: The network

  private func delay() -> Microseconds { options.delay + random.span(upTo: options.delaySpread) }

  /// Sends over a link. Frames do not overtake each other by much, and nothing here depends on their order.
  private func carry(_ frame: Frame, from node: ScaleNode, to peer: NodeID) {
    guard let target = numbers[peer], node.links.contains(target) else { return }
    let bytes = WireSizes.frame(frame)
    node.sentBytes += UInt64(bytes)
    if nodes[target].isUp { nodes[target].receivedBytes += UInt64(bytes) }
    var time = now + delay()
    if random.chance(partsPerMillion: options.lossPartsPerMillion) { time = time + MembershipScale.retransmission }
    wheel.add(.frame(frame, from: node.number, to: target), at: time)
  }

  func link(_ one: Int, _ other: Int) {
    let (dialler, dialled) = (nodes[one], nodes[other])
    guard one != other, dialler.isUp, dialled.isUp, !dialler.links.contains(other) else { return }
    dialler.links.append(other)
    dialled.links.append(one)
    step(dialler, MembershipInput.linkUp(dialled.id, dialled.address, isOutbound: true))
    step(dialled, MembershipInput.linkUp(dialler.id, dialler.address, isOutbound: false))
    step(dialler, BroadcastInput.linkUp(dialled.id, isOutbound: true))
    step(dialled, BroadcastInput.linkUp(dialler.id, isOutbound: false))
  }

  private func unlink(_ node: ScaleNode, _ peer: Int) {
    guard let place = node.links.firstIndex(of: peer) else { return }
    node.links.remove(at: place)
    step(node, MembershipInput.linkDown(nodes[peer].id))
    step(node, BroadcastInput.linkDown(nodes[peer].id))
  }

  // MARK: What happens

  func publish(_ sequence: UInt64) {
    let node = nodes[random.index(below: options.count)]
    guard node.isUp else { return }
    let transaction = Transaction(
      nonce: sequence, feeMicrocredits: 1_000, expiresMilliseconds: 1 << 50,
      action: .transfer(to: node.id, amountMicrocredits: 1))
    let message = node.identity.seal(.transaction(transaction), now: now)
    messages.add(message)
    hops?.published(message.value.id, by: node.number, at: now, expected: running(except: node.number))
    step(node, BroadcastInput.publish(message))
  }

  /// A node that knows nobody, and is linked with a random one.
  func join() {
    let node = addNode()
    let contact = random.index(below: options.count)
    watch = Watch(target: node.number, start: now, nodes: options.count, expected: running(except: node.number))
    watchedState = .alive
    step(node, MembershipInput.start)
    link(node.number, contact)
  }

  /// A node that ends without a word; its links end at once, or when its silence is noticed.
  func end(_ number: Int, closesLinks: Bool) {
    let node = nodes[number]
    node.isUp = false
    // Who has joined just now may not have heard of it yet.
    let expected = nodes.count { $0.isUp && $0.number != number && $0.membership.member(node.id) != nil }
    watch = Watch(target: number, start: now, nodes: nodes.count, expected: expected)
    watchedState = .down
    for peer in node.links {
      let time = closesLinks ? delay() : MembershipScale.silenceLimit + random.span(upTo: .seconds(1))
      wheel.add(.linkDown(node: peer, peer: number), at: now + time)
    }
    node.links = []
  }

  func running(except number: Int) -> Int { nodes.count { $0.isUp && $0.number != number } }
}
