import Foundation
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

/// Links of epochs whose only validator is another key whenever the set changes.
@Suite struct EpochLinkStoreTests {
  private let keys: [SigningKey]
  private let genesis: Genesis
  private let verifier: Verifier

  init() throws {
    let keys = try (1...100).map { try SigningKey(seed: [UInt8](repeating: UInt8($0), count: 32)) }
    self.keys = keys
    genesis = try Genesis(
      name: "links", createdMilliseconds: 1, parameters: ChainParameters(), validators: [keys[0].id],
      balances: [Genesis.Balance(account: keys[0].id, amountMicrocredits: 1_000_000_000)])
    verifier = Verifier(networkID: genesis.networkID) { Sodium.verify($0, of: $1, by: $2) }
  }

  /// The end of an epoch in which the key `signer` validates, and which names the key `next`.
  private func link(_ epoch: UInt64, signer: Int, next: Int) throws -> EpochLink {
    let validators = [Validator(node: keys[next].id, key: keys[next].id)]
    let header = BlockHeader(
      epoch: epoch, view: 3, height: (epoch + 1) * 3_600, parentID: genesis.networkID, parentView: 2,
      timestampMilliseconds: 5, transactionsRoot: .zero, stateRoot: .zero,
      nextValidators: ValidatorSet.digest(of: validators), reveal: .zero)
    let key = keys[signer]
    let vote = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }.vote(
      .finalize(epoch: epoch, view: 4, parentView: 3, blockID: header.id), as: 0)
    let finalization = try #require(Certificate.assemble([vote])).value
    return try #require(EpochLink(header: header, finalization: finalization, next: validators))
  }

  private func open(_ scratch: Scratch) throws -> (store: EpochLinkStore, cutBytes: Int) {
    try EpochLinkStore.open(directory: scratch.path, genesis: genesis, verifier: verifier)
  }

  private func epochs(_ store: EpochLinkStore, from epoch: UInt64) -> [UInt64]? {
    guard case .epochs(let links)? = store.answer(from: epoch) else { return nil }
    return links.map(\.header.epoch)
  }

  /// The set changes at the ends of the epochs 2 and 5; the last known epoch is 7.
  private func links() throws -> [EpochLink] {
    try (0..<8).map { epoch in
      let (signer, next) = epoch < 2 ? (0, 0) : epoch == 2 ? (0, 1) : epoch < 5 ? (1, 1) : epoch == 5 ? (1, 2) : (2, 2)
      return try link(UInt64(epoch), signer: signer, next: next)
    }
  }

  @Test func onlyChangesAndTheLastAreKept() throws {
    let scratch = try Scratch()
    let store = try open(scratch).store
    #expect(store.last == nil && store.answer(from: 0) == nil)
    for link in try links() { try store.add(link) }
    for store in [store, try open(scratch).store] {
      #expect(store.last?.header.epoch == 7 && store.changeCount == 2)
      #expect(epochs(store, from: 0) == [2, 5, 7] && epochs(store, from: 3) == [5, 7])
      #expect(epochs(store, from: 6) == [7] && epochs(store, from: 8) == nil)
      guard case .epochs(let links)? = store.answer(from: 0) else { continue }
      #expect(try verifier.verify(links, from: genesis.validatorSet).members == [keys[2].id])
    }
  }

  @Test func whatDoesNotFollowIsLeftAlone() throws {
    let scratch = try Scratch()
    let store = try open(scratch).store
    let links = try links()
    for link in links[0...2] { try store.add(link) }
    // One that is known, one of the past, one that a stranger signed, one behind a change that is not known.
    for link in [links[2], links[1], try link(3, signer: 7, next: 1), links[6]] { try store.add(link) }
    #expect(store.last?.header.epoch == 2 && store.changeCount == 1)
    // Epochs without a change may be missing.
    try store.add(links[5])
    #expect(epochs(store, from: 0) == [2, 5])
  }

  @Test func aDamagedFileIsCutAndTheLinksComeAgain() throws {
    let scratch = try Scratch()
    let store = try open(scratch).store
    for link in try links() { try store.add(link) }
    let file = URL(fileURLWithPath: scratch.path + "/epochs")
    var bytes = try Data(contentsOf: file)
    bytes[bytes.count * 3 / 4] ^= 1
    try bytes.write(to: file)
    let (again, cut) = try open(scratch)
    // The last link is signed by validators that the lost one named.
    #expect(cut > 0 && again.changeCount == 1 && again.last?.header.epoch == 2)
    for link in try links() { try again.add(link) }
    #expect(epochs(try open(scratch).store, from: 0) == [2, 5, 7])
  }

  @Test func anAnswerHasABound() throws {
    let scratch = try Scratch()
    let store = try open(scratch).store
    let count = ConsensusMessage.maximumEpochLinks + 6
    for epoch in 0..<count { try store.add(try link(UInt64(epoch), signer: epoch, next: epoch + 1)) }
    #expect(epochs(store, from: 0) == (0..<UInt64(ConsensusMessage.maximumEpochLinks)).map { $0 })
    #expect(epochs(store, from: 10)?.last == UInt64(count - 1))
  }
}
