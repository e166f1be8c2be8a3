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
      let outcome = await fetch(invite) { if case .success = $0 { true } else { false } }
      #expect(try outcome.get() == genesis)
    }
  }

  @Test func whoIsNotTheInviterOrLiesIsRefused() async throws {
    let genesis = try genesis(accounts: 1)
    try await withInviter(of: genesis, serving: try self.genesisOfAnother()) { node, address in
      func failure(_ networkID: Digest, _ id: NodeID, _ words: String? = nil) async throws -> JoinError? {
        let invite = try #require(Invite(networkID: networkID, node: id, addresses: [address]))
        func error(_ outcome: Result<Genesis, any Error>) -> JoinError? {
          if case .failure(let error) = outcome { error as? JoinError } else { nil }
        }
        return error(
          await fetch(invite) { outcome in
            words.map { error(outcome)?.message.contains($0) == true } ?? (error(outcome)?.code == .genesisDiffers)
          })
      }
      #expect(try await failure(genesis.networkID, node)?.code == .genesisDiffers)
      let another = "\(address): another node answers there"
      let other = try await failure(genesis.networkID, try nodeID(77), another)
      #expect(other?.code == .nobodyAnswers && other?.message.contains(another) == true)
      let foreign = "\(address): a node of another network answers there"
      let network = try await failure(Digest(hashing: [9]), node, foreign)
      #expect(network?.code == .nobodyAnswers && network?.message.contains(foreign) == true)
    }
  }

  /// Fetches until the outcome is the one that is wanted, a few times at most while nobody answers: a link is made within five seconds or not at
  /// all, and a busy machine may need another try.
  private func fetch(
    _ invite: Invite, until isWanted: (Result<Genesis, any Error>) -> Bool
  ) async -> Result<Genesis, any Error> {
    var outcome: Result<Genesis, any Error>
    var tries = 0
    repeat {
      do { outcome = .success(try await GenesisFetch(invite, logger: silence()).run()) } catch {
        outcome = .failure(error)
      }
      tries += 1
      // Nothing but lateness is tried again.
      guard case .failure(let error) = outcome, (error as? JoinError)?.code == .nobodyAnswers else { break }
    } while !isWanted(outcome) && tries < 5
    return outcome
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
