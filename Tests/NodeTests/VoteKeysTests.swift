import Foundation
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

@Suite struct VoteKeysTests {
  private let network = Digest(hashing: [1])

  private func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return try #require(attributes[.posixPermissions] as? Int)
  }

  private func age(_ path: String, hours: Double) throws {
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -hours * 3_600)], ofItemAtPath: path)
  }

  @Test func aKeyIsThereAfterARestart() throws {
    let scratch = try Scratch()
    let own = try SigningKey.generate()
    let keys = try VoteKeys(dataDirectory: scratch.path, own: own)
    #expect(keys.isEmpty && keys.all.map(\.id) == [own.id])
    let made = try keys.make()
    #expect(!keys.isEmpty && keys.all.map(\.id) == [own.id, made.id])
    let path = "\(scratch.path)/vote-keys/\(made.id).key"
    #expect(try mode(path) == 0o600)
    #expect(try mode(scratch.path + "/vote-keys") == 0o700)
    let again = try VoteKeys(dataDirectory: scratch.path, own: own)
    #expect(again.all.map(\.id) == [own.id, made.id])
    let signers = again.signers(networkID: network)
    #expect(signers.map(\.id) == [own.id, made.id])
    let subject = VoteSubject.nullify(epoch: 1, view: 2)
    let vote = signers[1].vote(subject, as: 0).value
    let isSound = Sodium.verify(vote.signature, of: subject.statement(networkID: network), by: made.id)
    #expect(isSound)
  }

  @Test func aDamagedOrMisnamedKeyStopsTheNode() throws {
    let scratch = try Scratch()
    let own = try SigningKey.generate()
    let made = try VoteKeys(dataDirectory: scratch.path, own: own).make()
    let path = "\(scratch.path)/vote-keys/\(made.id).key"
    try FileManager.default.moveItem(atPath: path, toPath: "\(scratch.path)/vote-keys/\(own.id).key")
    #expect(NodeError.code { try VoteKeys(dataDirectory: scratch.path, own: own) } == .key)
    try FileManager.default.removeItem(atPath: "\(scratch.path)/vote-keys/\(own.id).key")
    try scratch.write("no key", to: "vote-keys/\(made.id).key")
    #expect(NodeError.code { try VoteKeys(dataDirectory: scratch.path, own: own) } == .key)
  }

  @Test func whatWasNotFinishedIsRemovedAndOtherFilesAreLeftAlone() throws {
    let scratch = try Scratch()
    let own = try SigningKey.generate()
    _ = try VoteKeys(dataDirectory: scratch.path, own: own).make()
    try scratch.write("half a k", to: "vote-keys/ln1abc.key.new")
    try scratch.write("mine", to: "vote-keys/README")
    #expect(try VoteKeys(dataDirectory: scratch.path, own: own).all.count == 2)
    #expect(scratch.text("vote-keys/ln1abc.key.new") == nil)
    #expect(scratch.text("vote-keys/README") == "mine")
  }

  @Test func aKeyGoesWhenNoEpochUsesItAndItIsOld() throws {
    let scratch = try Scratch()
    let own = try SigningKey.generate()
    let keys = try VoteKeys(dataDirectory: scratch.path, own: own)
    let (old, used, young) = (try keys.make(), try keys.make(), try keys.make())
    for key in [old, used] { try age("\(scratch.path)/vote-keys/\(key.id).key", hours: 2) }
    #expect(keys.prune(inUse: [used.id]) == [old.id])
    #expect(keys.all.map(\.id) == [own.id, used.id, young.id])
    #expect(try VoteKeys(dataDirectory: scratch.path, own: own).all.count == 3)
    #expect(keys.prune(inUse: [used.id]).isEmpty)
  }

  /// Cut off for longer than a key without an epoch is kept: its transaction is signed anew, so the key must stay.
  @Test func aKeyWhoseTransactionIsUnderWayStays() throws {
    let scratch = try Scratch()
    var lone = try LoneValidator(epochBlocks: 4)
    let keys = try VoteKeys(dataDirectory: scratch.path, own: lone.key)
    let new = try keys.make()
    try age("\(scratch.path)/vote-keys/\(new.id).key", hours: 2)
    try lone.run(toHeight: 1)
    let signer = keys.signers(networkID: lone.genesis.networkID)[1]
    lone.step(.submit(.rotateKey(signer.voteKey(of: lone.key.id)), request: 1_000))
    #expect(lone.core.finalState.account(lone.key.id).nonce == 1)
    #expect(keys.prune(inUse: lone.core.voteKeysInUse).isEmpty && keys.all.count == 2)
    // Once it is included, the ledger knows the key.
    try lone.run(toHeight: 3)
    #expect(lone.core.voteKeysInUse.contains(new.id))
    #expect(keys.prune(inUse: lone.core.voteKeysInUse).isEmpty)
  }

  @Test func keysAreBounded() throws {
    let scratch = try Scratch()
    let keys = try VoteKeys(dataDirectory: scratch.path, own: try SigningKey.generate())
    for _ in 0..<VoteKeys.maximumKeys { _ = try keys.make() }
    #expect(NodeError.code { try keys.make() } == .key)
  }
}

@Suite struct RestartMarkerTests {
  @Test func aKeyIsNewInANetworkOnlyOnce() throws {
    let scratch = try Scratch()
    let marker = RestartMarker(keyPath: scratch.path + "/node.key", networkID: Digest(hashing: [1]))
    #expect(!marker.exists)
    try marker.use()
    #expect(try marker.write() && marker.exists)
    #expect(try marker.write() && marker.exists)
    try marker.use()
    #expect(!marker.exists)
    #expect(try !marker.write() && !marker.exists)
    let other = RestartMarker(keyPath: scratch.path + "/node.key", networkID: Digest(hashing: [2]))
    #expect(try other.write() && other.exists && !marker.exists)
  }
}
