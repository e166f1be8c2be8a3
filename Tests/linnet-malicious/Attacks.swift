import Glibc
import LinkProtocol
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Transport
import Wire

// One round of each attack; there are about twenty a second.

extension MaliciousNode {
  private func random(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255) } }
  /// Cheap ones: to make them must not cost more than to refuse them.
  private func randomDigests(_ count: Int) -> [Digest] {
    let first = UInt64.random(in: 0...UInt64.max)
    return (0..<count).map { index in
      withUnsafeBytes(of: first &+ UInt64(index)) { bytes in
        Digest(bytes: Array(bytes) + [UInt8](repeating: 7, count: 24)) ?? Digest(hashing: Array(bytes))
      }
    }
  }

  func perform(_ attack: Attack, _ round: Int) async throws {
    switch attack {
    case .accuse: accuse(round)
    case .replay: replay()
    case .announce:
      // As many as the protocol has room for: six times what is taken in a heartbeat of the smallest network.
      for _ in 0..<16 { toAll { _ in .gossip(.announce(randomDigests(GossipMessage.maximumIDs))) } }
    case .request: request()
    case .graft:
      // More than twice as many as are a flood.
      for _ in 0..<16 {
        toAll { _ in .gossip(.graft) }
        toAll { _ in .gossip(.prune(reason: .full, backoffSeconds: 0)) }
      }
    case .invalid: invalid()
    case .lie: lie(round)
    case .dial: try await dialThousands()
    case .beacon: beacon()
    }
  }

  private func toAll(_ message: (Target) -> LinkMessage) {
    for target in targets { send(message(target), to: target.id) }
  }

  private func accuse(_ round: Int) {
    let sequences = state.withLock { $0.sequences }
    for target in targets {
      // Everyone but who is told, and now and then that one, too.
      let accusations = targets.compactMap { accused -> Envelope? in
        guard accused.id != target.id || round % 4 == 0, let incarnation = sequences[accused.id] else { return nil }
        return seal(.accusation(Accusation(accused: accused.id, incarnation: incarnation))).envelope
      }
      send(.members(accusations), on: .services, to: target.id)
      let ping = Ping(
        receiver: target.id, number: UInt64(round), height: 0, observed: target.address,
        rumours: Array(accusations.prefix(4)))
      datagram(.ping(ping), to: target)
    }
  }

  private func replay() {
    let (frames, envelopes, gossip) = state.withLock { ($0.frames, $0.envelopes, $0.gossip) }
    for target in targets {
      for _ in 0..<20 {
        if let (channel, bytes) = frames.randomElement() { send(bytes, on: channel, to: target.id) }
        if let payload = envelopes.randomElement() { datagram(payload, to: target) }
      }
      if !gossip.isEmpty {
        let part = (0..<16).compactMap { _ in gossip.randomElement() }
        send(.gossip(.publish(part)), to: target.id)
      }
    }
  }

  private func request() {
    let known = state.withLock { $0.gossip.map(\.id) }
    for _ in 0..<16 { toAll { _ in .gossip(.request(randomDigests(GossipMessage.maximumIDs))) } }
    if !known.isEmpty {
      toAll { _ in .gossip(.request((0..<GossipMessage.maximumIDs).compactMap { _ in known.randomElement() })) }
    }
    guard let everything = MaliciousNode.everything else { return }
    toAll { _ in .memberRequest(everything) }
  }

  private func invalid() {
    // Of accounts that do not exist, signed by none of them.
    guard let other = try? SigningKey.generate() else { return }
    let liar = Signer(id: other.id, networkID: genesis.networkID) { _ in Signature(bytes: self.random(64)) ?? .zero }
    let envelopes = (0..<16).map { index in
      liar.seal(
        .transaction(
          Transaction(
            nonce: UInt64(index), feeMicrocredits: genesis.parameters.minimumFeeMicrocredits,
            expiresMilliseconds: .max, action: .transfer(to: targets[0].id, amountMicrocredits: 1))),
        sequence: nextSequence()
      ).value.envelope
    }
    toAll { _ in .gossip(.publish(envelopes)) }
  }

  private func lie(_ round: Int) {
    // Everybody in the lab at once, whose hosts have /24 prefixes.
    let directed = (listen.ip.dropLast().map(String.init) + ["255"]).joined(separator: ".")
    let places: [PeerAddress] = [
      ("255.255.255.255", 7_447), ("192.0.2.1", 7_447), (listen.ipText, 0), (targets[0].address.ipText, 7_447),
      ("0.0.0.0", 7_447), ("224.0.0.1", 7_447), (directed, 7_447),
    ].compactMap { PeerAddress(text: "\($0.0):\($0.1)") }
    if round % 10 == 0 {
      let claims = (0..<NodeRecord.maximumAddresses).map { places[(round / 10 + $0) % places.count] }
      let own = record(addresses: claims).envelope
      for target in targets { send(.members([own]), on: .services, to: target.id) }
    }
    // Nodes that do not exist, at the addresses of those that do.
    var ghosts: [Envelope] = []
    for index in 0..<8 {
      guard let key = try? SigningKey.generate() else { continue }
      let ghost = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }
      let addresses = [places[index % places.count], targets[index % targets.count].address]
      let body = NodeRecord(
        name: "ghost", addresses: addresses, roles: .all, capabilities: Digest(hashing: []), agent: "ghost",
        expiresUnixSeconds: nextSequence() / 1_000_000 + 86_400)
      ghosts.append(ghost.seal(.nodeRecord(body), sequence: nextSequence()).value.envelope)
    }
    for target in targets {
      send(.members(ghosts), on: .services, to: target.id)
      // Where it saw the target, which is a lie, too.
      let ping = Ping(
        receiver: target.id, number: UInt64(round), height: 0, observed: places[round % places.count], rumours: [])
      datagram(.ping(ping), to: target)
    }
  }

  private func dialThousands() async throws {
    // Connections that say nothing, kept open until there are too many; a hundred more each round.
    var sockets: [Int32] = []
    for index in 0..<100 {
      let target = targets[index % targets.count].address
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      guard descriptor >= 0, target.isIPv4 else { continue }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = target.port.bigEndian
      withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: target.ip) }
      let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      guard status == 0 || errno == EINPROGRESS else {
        close(descriptor)
        continue
      }
      sockets.append(descriptor)
    }
    // And links of identities that nobody knows, ten a round.
    let group = MultiThreadedEventLoopGroup.singleton
    var endpoints: [LinkEndpoint] = []
    for _ in 0..<10 {
      guard let stranger = try? SigningKey.generate() else { continue }
      // There may be no descriptors left for one more: that is this host's limit, and no end of the attack.
      guard
        let endpoint = try? LinkEndpoint(
          identity: stranger, networkID: genesis.networkID, group: group, logger: logger, onEvent: { _ in }),
        (try? await endpoint.start(listen: [])) != nil
      else { continue }
      for target in targets { endpoint.dial(target.address, expecting: target.id) }
      endpoints.append(endpoint)
    }
    state.withLock {
      $0.done["connections", default: 0] += sockets.count
      $0.done["links of strangers", default: 0] += endpoints.count * targets.count
    }
    let open = endpoints
    let descriptors = sockets
    // They stay while the next rounds come.
    Task {
      try? await Task.sleep(for: .seconds(5))
      for descriptor in descriptors { close(descriptor) }
      for endpoint in open { await endpoint.shutdown() }
    }
  }

  private func beacon() {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let configuration = BeaconConfiguration()
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = configuration.port.bigEndian
    withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: configuration.ipv4Group) }
    let filter = DatagramFilter(
      id: signer.id, networkID: genesis.networkID, secret: random(DatagramFilter.secretByteCount),
      now: Instant(microseconds: 0))
    var sent = 0
    for index in 0..<100 {
      guard let key = try? SigningKey.generate() else { continue }
      let ghost = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }
      let body = NodeRecord(
        name: "ghost", addresses: [targets[index % targets.count].address], roles: .all,
        capabilities: Digest(hashing: []), agent: "ghost", expiresUnixSeconds: nextSequence() / 1_000_000 + 86_400)
      let envelope = ghost.seal(.nodeRecord(body), sequence: nextSequence()).value.envelope
      guard let bytes = filter.sealBeacon(envelope.encoded) else { continue }
      let written = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      if written == bytes.count { sent += 1 }
    }
    state.withLock { $0.done["beacons", default: 0] += sent }
  }
}
