import Logging
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Transport
import Wire

/// Fetches the genesis from the node of an invite. The network's id is part of the handshake, and the node must show the
/// identity that the invite names: nobody on the way can answer in its place.
package struct GenesisFetch: Sendable {
  /// How long one address may take to answer the dial: the transport's limits for connecting and for the handshake.
  private static let dialSeconds = 11
  /// How long the node may take for one part: half a megabyte, for which a line of 256 kbit/s takes 17 s.
  private static let partSeconds = 20

  private enum Event: Sendable {
    case up
    case down(String)
    case dialFailed(PeerAddress, String)
    /// A frame of the node, whose bytes are owed to it until it has been looked at.
    case frame(LinkChannel, [UInt8])
    case message(ServiceMessage)
    case timeout(UInt64)
  }

  /// What a link brought.
  private enum Fetched {
    case genesis(Genesis)
    /// It ended before; why.
    case lost(String)
    /// It brought something else.
    case refused(JoinError)
  }

  private let invite: Invite
  private let logger: Logger

  /// A fetch of what an invite names.
  package init(_ invite: Invite, logger: Logger) {
    self.invite = invite
    self.logger = logger
  }

  /// Asks at one address of the invite after the other.
  package func run() async throws -> Genesis {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    // Bounded by the windows of the link: what waits here is not given back. To drop one would lose the answer, or a timeout.
    let (events, continuation) = AsyncStream<Event>.makeStream()
    let node = invite.node
    let outcome: Result<Genesis, any Error>
    do {
      // Who asks for the genesis is nobody yet: the node's own key is not needed for it.
      let endpoint = try LinkEndpoint(
        identity: try SigningKey.generate(), networkID: invite.networkID, group: group, logger: logger
      ) { event in
        if let event = Self.event(event, of: node) { continuation.yield(event) }
      }
      try await endpoint.start(listen: [])
      do { outcome = .success(try await ask(endpoint, events, continuation)) } catch { outcome = .failure(error) }
      await endpoint.shutdown()
    } catch {
      try? await group.shutdownGracefully()
      throw error
    }
    try? await group.shutdownGracefully()
    return try outcome.get()
  }

  private static func event(_ event: LinkEvent, of node: NodeID) -> Event? {
    switch event {
    case .up(let peer, _, _): return peer == node ? .up : nil
    case .down(let peer, let reason): return peer == node ? .down("\(reason)") : nil
    case .dialFailed(let address, _, let error): return .dialFailed(address, words(for: error))
    case .received(let peer, let channel, let bytes): return peer == node ? .frame(channel, bytes) : nil
    case .congested: return nil
    }
  }

  /// The answer in a frame. All else that a node says on a new link is for members.
  private static func answer(_ channel: LinkChannel, _ bytes: [UInt8]) -> ServiceMessage? {
    guard channel == .services, bytes.count <= ServiceMessage.maximumBodyBytes,
      case .service(let message)? = try? LinkMessage(decoding: bytes), message.isAnswer
    else { return nil }
    return message
  }

  /// What a person can do something about.
  private static func words(for error: TransportError) -> String {
    switch error.code {
    case .connectFailed: "no connection: \(error.cause ?? error.message)"
    case .unexpectedIdentity: "another node answers there"
    case .badHandshake, .wrongNetwork: "a node of another network answers there"
    default: error.message
    }
  }

  private func ask(
    _ endpoint: LinkEndpoint, _ events: AsyncStream<Event>, _ continuation: AsyncStream<Event>.Continuation
  ) async throws -> Genesis {
    var reasons: [String] = []
    var arrivals = events.makeAsyncIterator()
    var number: UInt64 = 0

    /// The next event that is not the timeout of an earlier wait; nil at one's own.
    func next(within seconds: Int) async -> Event? {
      number += 1
      let own = number
      let timer = Task {
        try await Task.sleep(for: .seconds(seconds))
        continuation.yield(.timeout(own))
      }
      defer { timer.cancel() }
      while let event = await arrivals.next() {
        switch event {
        case .timeout(let number): if number == own { return nil }
        case .frame(let channel, let bytes):
          endpoint.consumed(bytes.count, channel: channel, from: invite.node)
          if let message = Self.answer(channel, bytes) { return .message(message) }
        default: return event
        }
      }
      return nil
    }

    func reach(_ address: PeerAddress) async -> String? {
      endpoint.dial(address, expecting: invite.node)
      while let event = await next(within: Self.dialSeconds) {
        switch event {
        case .up: return nil
        case .dialFailed(address, let reason): return reason
        case .down, .dialFailed, .frame, .message, .timeout: continue
        }
      }
      return "no answer in \(Self.dialSeconds) s"
    }

    /// The genesis, or why the link did not bring it. An asynchronous function of this kind that throws makes the optimizer
    /// of Swift 6.3.1 crash, so it returns what it would throw.
    func fetch() async -> Fetched {
      var assembly = GenesisAssembly(networkID: invite.networkID)
      var question: UInt64 = 0
      while true {
        question += 1
        let message = ServiceMessage(
          number: question, isAnswer: false, service: PeerService.genesis.rawValue, body: assembly.request.encoded)
        guard endpoint.send(LinkMessage.service(message).encoded, channel: .services, to: invite.node) else {
          return .lost("the link ended at once")
        }
        var answer: ServiceMessage?
        while answer == nil {
          switch await next(within: Self.partSeconds) {
          case .message(let message) where message.number == question: answer = message
          case .down(let reason): return .lost(reason)
          case .up, .dialFailed, .frame, .message, .timeout: continue
          case nil: return .lost("it did not send its genesis in \(Self.partSeconds) s")
          }
        }
        guard let part = answer.flatMap({ try? GenesisAnswer(decoding: $0.body) }) else {
          return .refused(GenesisAssembly.differs("the answer can't be understood"))
        }
        do throws(JoinError) {
          if let genesis = try assembly.take(part) { return .genesis(genesis) }
        } catch {
          return .refused(error)
        }
      }
    }

    for address in invite.addresses {
      if let reason = await reach(address) {
        reasons.append("\(address): \(reason)")
        continue
      }
      switch await fetch() {
      case .genesis(let genesis): return genesis
      case .refused(let error): throw error
      case .lost(let reason): reasons.append("\(address): \(reason)")
      }
    }
    throw JoinError(
      .nobodyAnswers,
      "the node \(invite.node.short) of the invite can't be reached (\(reasons.joined(separator: "; ")))",
      suggestion: "is its daemon running, and its port open for TCP in every firewall on the way? An invite names the "
        + "addresses that the node had when it was made: `linnet invite --address` names others")
  }
}
