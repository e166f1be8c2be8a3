import Primitives
import Wire

@testable import Membership

/// A cheap deterministic signature scheme: tests of the protocol do not test Ed25519.
enum StandIn {
  static let networkID = Digest(hashing: Array("test network".utf8))

  static func signature(_ bytes: [UInt8], by id: NodeID) -> Signature {
    let digest = Digest(hashing: id.bytes + bytes).bytes
    return Signature(bytes: digest + digest)!
  }

  static let verifier = Verifier(networkID: networkID) { signature, bytes, id in
    signature == StandIn.signature(bytes, by: id)
  }

  static func identity(_ number: Int, floor: UInt64 = 0, ahead: Microseconds = .zero) -> Identity {
    let id = NodeID(Digest(hashing: Array("node \(number)".utf8)).value)
    let signer = Signer(id: id, networkID: networkID) { StandIn.signature($0, by: id) }
    return Identity(
      signer: signer, wallClock: WallClock(offset: Microseconds(1_700_000_000_000_000) + ahead), sequenceFloor: floor)
  }
}

/// The latest expiry that a record may have at the beginning of a test.
let lasting: UInt64 = 1_700_000_000 + 2 * 86_400

private let addresses = (0..<64).map { PeerAddress(ip: [127, 0, 0, UInt8($0 + 1)], port: 7447)! }

func address(_ number: Int) -> PeerAddress { addresses[number] }

func record(_ number: Int, addresses: [PeerAddress]? = nil) -> NodeRecord {
  NodeRecord(
    name: "n\(number)", addresses: addresses ?? [address(number)], roles: [.provider], capabilities: .zero,
    agent: "linnet/test", expiresUnixSeconds: 0)
}

/// Many machines in virtual time over a network that loses, doubles, delays and divides, from one seed.
struct VirtualNetwork {
  struct Host {
    var identity: Identity
    var machine: MembershipMachine
    var isUp = true
    var links = OrderedSet<Int>()
    var wake: Instant?
    var changes: [(at: Instant, id: NodeID, to: MemberState)] = []
    var learned = 0
    /// How many went at once, and (negative) came back.
    var splits: [Int] = []
    /// On the wire, headers of UDP, TCP and IPv4 and the framing of links included.
    var sentBytes = 0
    var receivedBytes = 0
  }

  enum Event {
    case tick(Int)
    case datagram(Envelope, from: PeerAddress, to: Int)
    case members([Envelope], from: Int, to: Int)
    case digest(MemberDigest, from: Int, to: Int)
    case memberRequest(MemberRequest, from: Int, to: Int)
    case link(Int, Int)
    case unlink(Int, Int)
    case ended(Int, Int)
  }

  struct Turn: Comparable {
    var at: Instant
    var order: UInt64
    static func < (left: Turn, right: Turn) -> Bool {
      left.at == right.at ? left.order < right.order : left.at < right.at
    }
  }

  var hosts: [Host] = []
  var now = Instant.zero
  var queue = Table<Turn, Event>()
  var order: UInt64 = 0
  var generator: SeededGenerator
  var settings: MembershipSettings
  /// Where each host is.
  let place: (Int) -> PeerAddress
  var lossPartsPerMillion: UInt64 = 0
  var duplicatePartsPerMillion: UInt64 = 0
  /// A datagram or a link passes between hosts of one side only.
  var side: [Int] = []
  /// Hosts behind a NAT of their own: what they send comes from this public address, datagrams reach them only from where
  /// they sent to within the last 30 seconds, and nobody can dial them.
  var nat = Table<Int, PeerAddress>() { didSet { findHosts() } }
  private var holes = Table<Int, Table<PeerAddress, Instant>>()
  /// Hosts that send but receive nothing.
  private(set) var deaf = OrderedSet<Int>()
  /// Nothing passes from the first host to the second.
  private var blocked = OrderedSet<Int>()
  /// Hosts that are elsewhere by now.
  private var moved = Table<Int, PeerAddress>() { didSet { findHosts() } }
  /// Which host is whose, and which is where.
  private var numbers = Table<NodeID, Int>()
  private var places = Table<PeerAddress, Int>()
  /// How long a link that carries nothing one way stays up.
  static let silence = Microseconds.seconds(15)
  var datagrams = 0
  /// What all hosts have sent.
  var bytes: Int { hosts.reduce(0) { $0 + $1.sentBytes } }
  /// IPv4 and UDP headers, and the type and tag of a datagram.
  private static let datagramOverhead = 20 + 8 + 17
  /// IPv4 and TCP headers, the length and tag of a Noise message, a Yamux header and the length of a frame.
  private static let frameOverhead = 40 + 2 + 16 + 12 + 4
  var longest = 0
  var destinations = OrderedSet<PeerAddress>()
  /// What the last datagrams were, for tests that replay or inspect them.
  var tap: [(envelope: Envelope, from: Int, to: PeerAddress)] = []
  var tapLimit = 0

  init(_ count: Int, seed: UInt64, settings: MembershipSettings = .lan, place: @escaping (Int) -> PeerAddress = address)
  {
    generator = SeededGenerator(seed: seed)
    self.settings = settings
    self.place = place
    for number in 0..<count { addHost(number) }
  }

  mutating func addHost(_ number: Int, record own: NodeRecord? = nil, clockAhead: Microseconds = .zero) {
    var identity = StandIn.identity(number, ahead: clockAhead)
    let machine = MembershipMachine(
      settings: settings, ownRecord: own ?? record(number, addresses: [place(number)]), identity: &identity, now: now,
      seed: generator.next())
    hosts.append(Host(identity: identity, machine: machine))
    side.append(0)
    numbers[identity.id] = number
    places[seenAt(number)] = number
    step(number, .start)
  }

  private mutating func findHosts() {
    places.removeAll()
    for number in hosts.indices { places[seenAt(number)] = number }
  }

  func id(_ number: Int) -> NodeID { hosts[number].identity.id }

  func number(_ id: NodeID) -> Int? { numbers[id] }

  mutating func schedule(_ delay: Microseconds, _ event: Event) {
    order += 1
    queue[Turn(at: now + delay, order: order)] = event
  }

  mutating func step(_ number: Int, _ input: MembershipInput) {
    guard hosts[number].isUp else { return }
    var effects: [MembershipEffect] = []
    let time = now
    func advance(_ host: inout Host) {
      host.machine.step(input, now: time, identity: &host.identity, into: &effects)
    }
    advance(&hosts[number])
    for effect in effects { perform(effect, by: number) }
    if let wake = hosts[number].machine.nextWake, hosts[number].wake.map({ wake < $0 || $0 <= now }) ?? true {
      hosts[number].wake = wake
      schedule(wake - now, .tick(number))
    }
  }

  mutating func perform(_ effect: MembershipEffect, by sender: Int) {
    switch effect {
    case .send(let message, let to, _):
      let envelope = message.value.envelope
      datagrams += 1
      let size = envelope.encodedBytes
      hosts[sender].sentBytes += size + VirtualNetwork.datagramOverhead
      longest = max(longest, size)
      destinations.insert(to)
      if tapLimit > 0 {
        tap.append((envelope, sender, to))
        if tap.count > tapLimit { tap.removeFirst() }
      }
      if nat[sender] != nil { holes[sender, default: Table()][to] = now }
      let source = seenAt(sender)
      guard let target = places[to], passes(sender, target),
        nat[target] == nil || holes[target]?[source].map({ now - $0 < .seconds(30) }) ?? false
      else { return }
      for _ in 0..<(generator.chance(partsPerMillion: duplicatePartsPerMillion) ? 2 : 1)
      where !generator.chance(partsPerMillion: lossPartsPerMillion) {
        hosts[target].receivedBytes += size + VirtualNetwork.datagramOverhead
        schedule(
          .milliseconds(1) + generator.span(upTo: .milliseconds(4)),
          .datagram(envelope, from: source, to: target))
      }
    case .exchange(let envelopes, let id):
      guard let target = number(id), hosts[sender].links.contains(target) else { return }
      weigh(envelopes.reduce(0) { $0 + $1.encodedBytes }, from: sender, to: target)
      schedule(.milliseconds(3), .members(envelopes, from: sender, to: target))
    case .digest(let digest, let id):
      guard let target = number(id), hosts[sender].links.contains(target) else { return }
      weigh(MemberDigest.Bucket.byteCount * digest.buckets.count, from: sender, to: target)
      schedule(.milliseconds(3), .digest(digest, from: sender, to: target))
    case .memberRequest(let request, let id):
      guard let target = number(id), hosts[sender].links.contains(target) else { return }
      weigh(request.buckets.count, from: sender, to: target)
      schedule(.milliseconds(3), .memberRequest(request, from: sender, to: target))
    case .dial(let to, let id):
      destinations.insert(to)
      guard let target = places[to], number(id) == target, hosts[target].isUp,
        passes(sender, target), passes(target, sender), nat[target] == nil
      else { return }
      schedule(.milliseconds(4), .link(sender, target))
    case .changed(let id, _, let to): hosts[sender].changes.append((now, id, to))
    case .learned: hosts[sender].learned += 1
    case .split(let members): hosts[sender].splits.append(members)
    case .healed(let members): hosts[sender].splits.append(-members)
    case .met, .accused, .refuted, .blamed, .addressLearned, .addressChanged, .nat, .pinged: break
    }
  }

  /// Counts what a link carries.
  private mutating func weigh(_ bytes: Int, from sender: Int, to target: Int) {
    hosts[sender].sentBytes += bytes + VirtualNetwork.frameOverhead
    hosts[target].receivedBytes += bytes + VirtualNetwork.frameOverhead
  }

  /// Where others see a host.
  func seenAt(_ number: Int) -> PeerAddress { nat[number] ?? moved[number] ?? place(number) }

  func number(of address: PeerAddress) -> Int? { places[address] }

  func passes(_ sender: Int, _ target: Int) -> Bool {
    side[sender] == side[target] && !deaf.contains(target) && !blocked.contains(sender << 16 | target)
  }

  /// A host sends, and nothing reaches it. What it says over a link arrives until the other end gives up.
  mutating func deafen(_ number: Int) {
    deaf.insert(number)
    for peer in hosts[number].links.members { schedule(VirtualNetwork.silence, .unlink(number, peer)) }
  }

  mutating func undeafen(_ number: Int) { deaf.remove(number) }

  /// Nothing passes from one host to another, until `unblock`.
  mutating func block(from sender: Int, to target: Int) {
    blocked.insert(sender << 16 | target)
    schedule(VirtualNetwork.silence, .unlink(sender, target))
  }

  mutating func unblock() { blocked.removeAll() }

  /// Divides the hosts into those from `first` on and the rest, or unites them again.
  mutating func split(from first: Int) {
    for number in first..<hosts.count { side[number] = 1 }
    for one in 0..<first { for other in first..<hosts.count { unlink(one, other) } }
  }

  mutating func unite() { for number in hosts.indices { side[number] = 0 } }

  /// A host has another address from now on, and sees so. Its links carry nothing more.
  mutating func move(_ number: Int, to address: PeerAddress) {
    moved[number] = address
    for peer in hosts[number].links.members {
      hosts[number].links.remove(peer)
      hosts[peer].links.remove(number)
      schedule(VirtualNetwork.silence, .ended(number, peer))
    }
    step(number, .interfaces([address]))
  }

  mutating func link(_ one: Int, _ other: Int) {
    guard hosts[one].isUp, hosts[other].isUp, side[one] == side[other], !hosts[one].links.contains(other) else {
      return
    }
    hosts[one].links.insert(other)
    hosts[other].links.insert(one)
    step(one, .linkUp(id(other), seenAt(other), isOutbound: true))
    step(other, .linkUp(id(one), seenAt(one), isOutbound: false))
  }

  mutating func unlink(_ one: Int, _ other: Int) {
    guard hosts[one].links.remove(other) else { return }
    hosts[other].links.remove(one)
    step(one, .linkDown(id(other)))
    step(other, .linkDown(id(one)))
  }

  mutating func deliver(_ envelope: Envelope, from source: PeerAddress, to target: Int) {
    guard let message = try? StandIn.verifier.verify(envelope) else { return }
    let rumours: [Envelope] =
      switch message.value.body {
      case .ping(let ping): ping.rumours
      case .ack(let ack): ack.rumours
      default: []
      }
    step(
      target,
      .datagram(message, rumours: rumours.compactMap { try? StandIn.verifier.verify($0) }, from: source))
  }

  mutating func run(for span: Microseconds) {
    let end = now + span
    while let turn = queue.first, turn.key.at <= end {
      queue.removeValue(forKey: turn.key)
      now = max(now, turn.key.at)
      switch turn.value {
      case .tick(let number):
        guard hosts[number].isUp, hosts[number].wake == now else { continue }
        step(number, .tick)
        if hosts[number].wake == now, let wake = hosts[number].machine.nextWake {
          hosts[number].wake = wake
          schedule(wake - now, .tick(number))
        }
      case .datagram(let envelope, let from, let target): deliver(envelope, from: from, to: target)
      case .members(let envelopes, let from, let target):
        guard hosts[target].links.contains(from), passes(from, target) else { continue }
        step(target, .members(envelopes.compactMap { try? StandIn.verifier.verify($0) }, from: id(from)))
      case .digest(let digest, let from, let target):
        guard hosts[target].links.contains(from), passes(from, target) else { continue }
        step(target, .digest(digest, from: id(from)))
      case .memberRequest(let request, let from, let target):
        guard hosts[target].links.contains(from), passes(from, target) else { continue }
        step(target, .memberRequest(request, from: id(from)))
      case .link(let one, let other): link(one, other)
      case .unlink(let one, let other): unlink(one, other)
      case .ended(let one, let other):
        guard !hosts[one].links.contains(other) else { continue }
        step(one, .linkDown(id(other)))
        step(other, .linkDown(id(one)))
      }
    }
    now = end
  }

  /// The process ends without a word. Its kernel closes its links unless the whole host is gone.
  mutating func kill(_ number: Int, closesLinks: Bool = true) {
    hosts[number].isUp = false
    for peer in hosts[number].links.members {
      if closesLinks { schedule(.milliseconds(1), .unlink(number, peer)) }
    }
  }

  /// The same key starts anew and knows nobody but its contact.
  mutating func restart(_ number: Int, contact: Int) {
    for peer in hosts[number].links.members { unlink(number, peer) }
    var identity = StandIn.identity(number, floor: hosts[number].identity.sequences.last)
    let machine = MembershipMachine(
      settings: settings, ownRecord: record(number, addresses: [place(number)]), identity: &identity, now: now,
      seed: generator.next())
    hosts[number] = Host(identity: identity, machine: machine)
    step(number, .start)
    link(number, contact)
  }

  /// Everyone links with host 0 and learns the rest from it.
  mutating func joinAll() {
    for number in hosts.indices.dropFirst() { link(number, 0) }
  }

  func state(of target: Int, at observer: Int) -> MemberState? {
    hosts[observer].machine.member(id(target))?.state
  }

  func everyone(sees state: MemberState, of target: Int) -> Bool {
    hosts.indices.allSatisfy { $0 == target || !hosts[$0].isUp || self.state(of: target, at: $0) == state }
  }

  var allSeeAll: Bool { hosts.indices.allSatisfy { !hosts[$0].isUp || everyone(sees: .alive, of: $0) } }

  func changes(to state: MemberState) -> [(observer: Int, target: Int)] {
    hosts.indices.flatMap { observer in
      hosts[observer].changes.filter { $0.to == state }.map { (observer, number($0.id)!) }
    }
  }

  func counted(_ name: String) -> UInt64 { hosts.reduce(0) { $0 + $1.machine.counters[name] } }
}
