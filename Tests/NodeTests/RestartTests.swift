import Config
import Core
import Foundation
import Ledger
import Primitives
import Testing
import Wire

@testable import Node

@Suite struct RestartTests {
  /// A network of one validator with transfers, a job that waits and an offer, on the disk as a daemon leaves it.
  private func stopped(_ scratch: Scratch) async throws -> (lone: LoneValidator, configuration: NodeConfiguration) {
    let other = try nodeID(9)
    var lone = try LoneValidator(balances: [Genesis.Balance(account: other, amountMicrocredits: 7)])
    try lone.run(toHeight: 2)
    lone.step(
      .submit(
        .offer(
          OfferTerms(
            resources: Resources(cpuMilli: 1_000, memoryBytes: 1 << 30, diskBytes: 1 << 30), gpus: [], labels: [],
            drivers: ["native"], isolation: .rlimit, maximumJobs: 1,
            prices: Prices(cpuSecondMicrocredits: 1, memoryGiBSecondMicrocredits: 0, gpuSecondMicrocredits: 0),
            validUntilMilliseconds: 1_800_000_900_000)), request: 1_000))
    lone.step(
      .submit(
        .submitJob(
          JobTerms(
            specification: Digest(hashing: [7]),
            resources: Resources(cpuMilli: 2_000, memoryBytes: 1 << 28, diskBytes: 1 << 28), gpuCount: 0,
            gpuMemoryBytes: 0, labels: [], driver: "native", isolation: .rlimit, mayRunOnSubmitter: true,
            replication: 1, retries: 0, maximumPricePerSecondMicrocredits: 10_000, wallLimitMilliseconds: 60_000,
            startDeadlineMilliseconds: 1_800_000_600_000)), request: 1_001))
    try lone.run(toHeight: 6)
    let state = lone.core.finalState
    #expect(state.bonded(by: lone.key.id) > state.parameters.minimumStakeMicrocredits)
    #expect(state.escrow(of: lone.key.id) > 0)
    #expect(state.account(other).balanceMicrocredits > 7)
    let storage = try ChainStorage.open(
      directory: scratch.path + "/journal", genesis: lone.genesis, sequenceFloor: 0, neverVoted: true,
      logger: silence()
    ).storage
    await lone.keep(in: storage)
    storage.close()
    try scratch.write(GenesisDocument.render(lone.genesis), to: "genesis.json")
    try scratch.write("[node]\ndata_directory = \"\(scratch.path)\"\n", to: "node.conf")
    try scratch.write("the key", to: "node.key")
    let configuration = try NodeConfiguration.load(
      path: scratch.path + "/node.conf", environment: ["HOME": scratch.path], flags: [:])
    return (lone, configuration)
  }

  private func make(
    _ configuration: NodeConfiguration, _ lone: LoneValidator, _ validators: [NodeID]
  ) throws -> ConsensusRestart.Outcome {
    try ConsensusRestart(configuration: configuration, genesis: lone.genesis, logger: silence())
      .make(validators: validators)
  }

  @Test func everyCreditReturnsToItsOwner() async throws {
    let scratch = try Scratch()
    let (lone, configuration) = try await stopped(scratch)
    let (other, third) = (try nodeID(9), try nodeID(4))
    let outcome = try make(configuration, lone, [third, other])
    let state = lone.core.finalState
    #expect(outcome.height == state.height && outcome.stateRoot == state.stateRoot)
    let genesis = outcome.genesis
    #expect(genesis.validators == [third, other].sorted())
    #expect(genesis.parameters == lone.genesis.parameters && genesis.name == lone.genesis.name)
    #expect(genesis.networkID != lone.genesis.networkID)
    let sum = genesis.balances.reduce(0) { $0 + $1.amountMicrocredits }
    #expect(sum + state.burntMicrocredits == lone.genesis.balances.reduce(0) { $0 + $1.amountMicrocredits })
    let kept = genesis.balances.first { $0.account == other }
    #expect(kept?.amountMicrocredits == state.account(other).balanceMicrocredits)
    // Another reading, and the same names in another order, make the same document.
    let again = try make(configuration, lone, [other, third])
    #expect(GenesisDocument.render(again.genesis) == GenesisDocument.render(genesis))
    #expect(NodeError.code { try make(configuration, lone, [other, other]) } == .genesis)
  }

  @Test func theDataDirectoryBecomesTheNewNetworks() async throws {
    let scratch = try Scratch()
    let (lone, configuration) = try await stopped(scratch)
    try scratch.write("[]", to: "slashes.json")
    let genesis: Genesis
    let old: String
    do {
      let restart = try ConsensusRestart(configuration: configuration, genesis: lone.genesis, logger: silence())
      genesis = try restart.make(validators: [lone.key.id]).genesis
      old = try restart.adopt(genesis)
    }
    #expect(try GenesisDocument.read(path: scratch.path + "/genesis.json") == genesis)
    #expect(scratch.text("node.key") == "the key" && scratch.text("slashes.json") == nil)
    #expect(FileManager.default.fileExists(atPath: old + "/blocks"))
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/journal"))
    let marker = RestartMarker(keyPath: configuration.node.key, networkID: genesis.networkID)
    #expect(marker.exists)
    // The daemon starts in the new network, votes, and is not to forget that.
    try DataDirectory(path: scratch.path).bind(to: genesis.networkID)
    let opened = try ChainStorage.open(
      directory: scratch.path + "/journal", genesis: genesis, sequenceFloor: 0, neverVoted: marker.exists,
      logger: silence())
    #expect(opened.abstains == nil)
    opened.storage.close()
    try marker.use()
    #expect(!marker.exists)
  }

  /// The host fails after each step of an adoption; it is then done again from the start.
  @Test(arguments: 0...6) func anAdoptionThatWasCutOffIsDoneAgain(steps: Int) async throws {
    let scratch = try Scratch()
    let (lone, configuration) = try await stopped(scratch)
    try scratch.write("[]", to: "slashes.json")
    try FileManager.default.createDirectory(atPath: scratch.path + "/vote-keys", withIntermediateDirectories: false)
    let genesis = try make(configuration, lone, [lone.key.id]).genesis
    let suffix = ".\(lone.genesis.networkID.description.prefix(16))"
    func move(_ name: String) throws {
      try FileManager.default.moveItem(
        atPath: "\(scratch.path)/\(name)", toPath: "\(scratch.path)/\(name)\(suffix)")
    }
    let all: [() throws -> Void] = [
      { _ = try RestartMarker(keyPath: configuration.node.key, networkID: genesis.networkID).write() },
      { try move("genesis.json") },
      { try scratch.write(GenesisDocument.render(genesis), to: "genesis.json") },
      { try move("network") },
      { try move("vote-keys") },
      { try move("slashes.json") },
    ]
    for step in all.prefix(steps) { try step() }
    // A try with the wrong genesis is refused, and does no harm.
    let others = try Genesis(
      name: "another", createdMilliseconds: 9, parameters: lone.genesis.parameters, validators: [lone.key.id],
      balances: [])
    #expect(
      NodeError.code {
        try ConsensusRestart(configuration: configuration, genesis: others, logger: silence())
          .make(validators: [lone.key.id])
      } != nil)
    let old: String
    do {
      let restart = try ConsensusRestart(configuration: configuration, genesis: lone.genesis, logger: silence())
      #expect(try restart.make(validators: [lone.key.id]).genesis.networkID == genesis.networkID)
      old = try restart.adopt(genesis)
    }
    #expect(try GenesisDocument.read(path: scratch.path + "/genesis.json") == genesis)
    #expect(try GenesisDocument.read(path: scratch.path + "/genesis.json" + suffix) == lone.genesis)
    #expect(scratch.text("network" + suffix) == "\(lone.genesis.networkID)\n" && scratch.text("network") == nil)
    for name in ["vote-keys", "slashes.json", "journal"] {
      #expect(FileManager.default.fileExists(atPath: "\(scratch.path)/\(name)\(suffix)"))
      #expect(!FileManager.default.fileExists(atPath: "\(scratch.path)/\(name)"))
    }
    #expect(FileManager.default.fileExists(atPath: old + "/blocks"))
    try DataDirectory(path: scratch.path).bind(to: genesis.networkID)
  }

  /// The new network's data directory is not taken for one whose adoption was cut off.
  @Test func whatIsTheNewNetworksIsNotAdoptedAgain() async throws {
    let scratch = try Scratch()
    let (lone, configuration) = try await stopped(scratch)
    let genesis: Genesis
    do {
      let restart = try ConsensusRestart(configuration: configuration, genesis: lone.genesis, logger: silence())
      genesis = try restart.make(validators: [lone.key.id]).genesis
      _ = try restart.adopt(genesis)
    }
    try DataDirectory(path: scratch.path).bind(to: genesis.networkID)
    try ChainStorage.open(
      directory: scratch.path + "/journal", genesis: genesis, sequenceFloor: 0, neverVoted: true, logger: silence()
    ).storage.close()
    #expect(
      NodeError.code {
        try ConsensusRestart(configuration: configuration, genesis: lone.genesis, logger: silence())
      } == .wrongNetwork)
    #expect(scratch.text("network") == "\(genesis.networkID)\n")
  }

  @Test func aNodeThatIsBehindTakesTheFileOfAnother() async throws {
    let scratch = try Scratch()
    let (lone, configuration) = try await stopped(scratch)
    let others = try Genesis(
      name: "made elsewhere", createdMilliseconds: 9, parameters: lone.genesis.parameters,
      validators: [lone.key.id], balances: [])
    let third = try Genesis(
      name: "a third", createdMilliseconds: 9, parameters: lone.genesis.parameters, validators: [lone.key.id],
      balances: [])
    let restart = try ConsensusRestart(configuration: configuration, genesis: lone.genesis, logger: silence())
    #expect(NodeError.code { try restart.adopt(lone.genesis) } == .genesis)
    try scratch.write(GenesisDocument.render(third), to: "genesis.json")
    #expect(NodeError.code { try restart.adopt(others) } == .genesis)
    try scratch.write(GenesisDocument.render(lone.genesis), to: "genesis.json")
    _ = try restart.adopt(others)
    #expect(try GenesisDocument.read(path: scratch.path + "/genesis.json") == others)
  }

  @Test func withoutFinalBlocksThereIsNothingToGoOnFrom() async throws {
    let scratch = try Scratch()
    let lone = try LoneValidator()
    try scratch.write("[node]\ndata_directory = \"\(scratch.path)\"\n", to: "node.conf")
    let configuration = try NodeConfiguration.load(
      path: scratch.path + "/node.conf", environment: ["HOME": scratch.path], flags: [:])
    #expect(NodeError.code { try make(configuration, lone, [lone.key.id]) } == .dataDirectory)
    try FileManager.default.createDirectory(
      atPath: scratch.path + "/journal", withIntermediateDirectories: false)
    #expect(NodeError.code { try make(configuration, lone, [lone.key.id]) } == .storage)
  }
}
