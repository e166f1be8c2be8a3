import Logging
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Testing
import Transport
import Wire

@testable import Node

/// A genesis of so many accounts.
private func genesis(accounts: UInt32) throws -> Genesis {
  let validator = try nodeID(1)
  let balances = try (0..<accounts).map { number in
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } + [UInt8](repeating: 7, count: 28)
    return Genesis.Balance(account: try #require(NodeID(bytes: bytes)), amountMicrocredits: 1)
  }
  return try Genesis(
    name: "test", createdMilliseconds: 1, parameters: ChainParameters(), validators: [validator], balances: balances)
}

@Suite struct GenesisFetchTests {
  @Test func partsOfALongGenesisComeTogether() throws {
    let genesis = try genesis(accounts: 30_000)
    let service = GenesisService(genesis)
    var assembly = GenesisAssembly(networkID: genesis.networkID)
    var parts = 0
    while true {
      let body = try #require(service.answer(assembly.request.encoded))
      parts += 1
      if let whole = try assembly.take(GenesisAnswer(decoding: body)) {
        #expect(whole == genesis)
        break
      }
    }
    #expect(parts == (genesis.encoded.count + GenesisAnswer.maximumPartBytes - 1) / GenesisAnswer.maximumPartBytes)
    #expect(parts > 1)
    let end = try #require(service.answer(GenesisRequest(offset: GenesisAnswer.maximumTotalBytes).encoded))
    #expect(try GenesisAnswer(decoding: end).bytes == [])
    #expect(service.answer([]) == nil)
  }

  @Test func onlyTheGenesisOfTheNetworkIsTaken() throws {
    let genesis = try genesis(accounts: 2)
    let bytes = genesis.encoded
    let total = UInt64(bytes.count)
    func refused(_ answers: [GenesisAnswer], networkID: Digest = genesis.networkID) {
      var assembly = GenesisAssembly(networkID: networkID)
      var code: JoinError.Code?
      do throws(JoinError) {
        for answer in answers { #expect(try assembly.take(answer) == nil) }
      } catch {
        code = error.code
      }
      #expect(code == .genesisDiffers)
    }
    refused([GenesisAnswer(total: total, bytes: bytes)], networkID: Digest(hashing: [1]))
    refused([GenesisAnswer(total: total, bytes: [])])
    refused([GenesisAnswer(total: total - 1, bytes: bytes)])
    refused([GenesisAnswer(total: total - 1, bytes: Array(bytes.dropLast()))])
    refused([
      GenesisAnswer(total: total, bytes: Array(bytes.prefix(10))),
      GenesisAnswer(total: total + 1, bytes: Array(bytes.dropFirst(10))),
    ])
  }

  @Test func whoIsInvitedFetchesItOverALink() async throws {
    let genesis = try genesis(accounts: 20_000)
    try await withInviter(of: genesis, serving: genesis) { node, address in
      // The first address answers nobody: the next one is tried.
      let silent = try #require(PeerAddress(text: "127.0.0.1:1"))
      let invite = try #require(Invite(networkID: genesis.networkID, node: node, addresses: [silent, address]))
      #expect(try await GenesisFetch(invite, logger: silence()).run() == genesis)
    }
  }

  @Test func whoIsNotTheInviterOrLiesIsRefused() async throws {
    let genesis = try genesis(accounts: 1)
    try await withInviter(of: genesis, serving: try self.genesisOfAnother()) { node, address in
      func code(_ networkID: Digest, _ id: NodeID) async throws -> JoinError? {
        let invite = try #require(Invite(networkID: networkID, node: id, addresses: [address]))
        do {
          _ = try await GenesisFetch(invite, logger: silence()).run()
          return nil
        } catch {
          return error as? JoinError
        }
      }
      #expect(try await code(genesis.networkID, node)?.code == .genesisDiffers)
      let other = try await code(genesis.networkID, try nodeID(77))
      #expect(other?.code == .nobodyAnswers)
      #expect(other?.message.contains("\(address): another node answers there") == true)
      let network = try await code(Digest(hashing: [9]), node)
      #expect(network?.code == .nobodyAnswers)
      #expect(network?.message.contains("\(address): a node of another network answers there") == true)
    }
  }

  private func genesisOfAnother() throws -> Genesis { try genesis(accounts: 3) }

  /// A node that has links and answers service 3, and nothing else.
  private func withInviter(
    of network: Genesis, serving genesis: Genesis, _ body: (NodeID, PeerAddress) async throws -> Void
  ) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let key = try SigningKey.generate()
    let late = LateBound<LinkEndpoint>()
    let service = GenesisService(genesis)
    let endpoint = try LinkEndpoint(identity: key, networkID: network.networkID, group: group, logger: silence()) {
      event in
      guard case .received(let peer, .services, let bytes) = event,
        case .service(let message)? = try? LinkMessage(decoding: bytes), let answer = service.answer(message.body)
      else { return }
      let reply = ServiceMessage(number: message.number, isAnswer: true, service: message.service, body: answer)
      late.value?.send(LinkMessage.service(reply).encoded, channel: .services, to: peer)
    }
    late.bind(endpoint)
    try await endpoint.start(listen: [try #require(PeerAddress(text: "127.0.0.1:0"))])
    let address = try #require(endpoint.listening.first)
    var failure: (any Error)?
    do { try await body(key.id, address) } catch { failure = error }
    await endpoint.shutdown()
    try await group.shutdownGracefully()
    if let failure { throw failure }
  }
}

@Suite struct GrantFileTests {
  @Test func aGrantIsKeptUntilItIsClaimed() throws {
    let scratch = try Scratch()
    let file = GrantFile(dataDirectory: scratch.path)
    #expect(try file.read() == nil)
    let seed = try #require(Bytes32([UInt8](repeating: 5, count: 32)))
    try file.write(InviteGrant(seed: seed))
    // The same command once more, and another invite.
    try file.write(InviteGrant(seed: seed))
    #expect(
      NodeError.code { try file.write(InviteGrant(seed: try #require(Bytes32([UInt8](repeating: 6, count: 32))))) }
        == .key)
    #expect(try file.read()?.id == SigningKey(seed: seed.bytes).id)
    try file.remove()
    #expect(try file.read() == nil)
  }
}
