import Core
import Primitives
import Sodium
import Testing
import Wire

@Suite struct MempoolTests {
  private static func signer(_ number: UInt8) throws -> Signer {
    let key = try SigningKey(seed: [UInt8](repeating: number, count: 32))
    return Signer(id: key.id, networkID: .zero) { key.sign($0) }
  }

  private static func transfer(_ signer: Signer, nonce: UInt64, expires: UInt64 = 1_000) -> Verified<Message> {
    signer.seal(
      .transaction(
        Transaction(
          nonce: nonce, feeMicrocredits: 100, expiresMilliseconds: expires,
          action: .transfer(to: signer.id, amountMicrocredits: 1))), sequence: nonce + 1)
  }

  @Test func candidatesKeepTheOrderOfNonces() throws {
    var pool = Mempool()
    let first = try Self.signer(1)
    let second = try Self.signer(2)
    for nonce in [2, 0, 1] as [UInt64] { #expect(pool.add(Self.transfer(first, nonce: nonce)) == .added) }
    #expect(pool.add(Self.transfer(second, nonce: 0)) == .added)
    let nonces = pool.candidates(limit: 10, nonce: { _ in 0 }).filter { $0.value.author == first.id }.compactMap {
      message in
      if case .transaction(let transaction) = message.value.body { transaction.nonce } else { nil }
    }
    #expect(nonces == [0, 1, 2])
    #expect(pool.candidates(limit: 2, nonce: { _ in 0 }).count == 2)
    #expect(pool.nextNonce(of: first.id, from: 0) == 3)
    #expect(pool.nextNonce(of: second.id, from: 0) == 1)
  }

  @Test func theFirstOfANonceStays() throws {
    var pool = Mempool()
    let signer = try Self.signer(1)
    let early = Self.transfer(signer, nonce: 0)
    #expect(pool.add(early) == .added)
    #expect(pool.add(early) == .known)
    #expect(pool.add(Self.transfer(signer, nonce: 0, expires: 2_000)) == .nonceTaken)
    pool.remove(early.value.id)
    #expect(pool.count == 0)
    #expect(pool.accounts.isEmpty)
  }

  @Test func oneAccountCannotFillThePool() throws {
    var pool = Mempool()
    let signer = try Self.signer(1)
    let other = try Self.signer(2)
    for nonce in 0..<UInt64(Mempool.maximumPerAccount) {
      #expect(pool.add(Self.transfer(signer, nonce: nonce)) == .added)
    }
    #expect(pool.add(Self.transfer(signer, nonce: UInt64(Mempool.maximumPerAccount))) == .accountFull)
    #expect(pool.add(Self.transfer(other, nonce: 0)) == .added)
    #expect(pool.removeStale(account: signer.id, below: 10).count == 10)
    #expect(pool.isExpired(Self.transfer(other, nonce: 0).value.id, at: 1_000))
    #expect(!pool.isExpired(Self.transfer(other, nonce: 0).value.id, at: 999))
  }

  @Test func whoCannotPayForAllItHasGetsNoMoreIn() throws {
    var pool = Mempool()
    let signer = try Self.signer(1)
    for nonce in [0, 1] as [UInt64] {
      #expect(pool.add(Self.transfer(signer, nonce: nonce), next: 0, balanceMicrocredits: 250) == .added)
    }
    #expect(pool.add(Self.transfer(signer, nonce: 2), next: 0, balanceMicrocredits: 250) == .unaffordable)
    // One is paid for, by the balance and by the pool.
    pool.removeStale(account: signer.id, below: 1)
    #expect(pool.add(Self.transfer(signer, nonce: 2), next: 1, balanceMicrocredits: 150) == .unaffordable)
    #expect(pool.add(Self.transfer(signer, nonce: 2), next: 1, balanceMicrocredits: 200) == .added)
  }

  @Test func theHighestNoncesGoUntilTheBalancePaysForTheRest() throws {
    var pool = Mempool()
    let signer = try Self.signer(1)
    let other = try Self.signer(2)
    let messages = [0, 1, 2, 5].map { Self.transfer(signer, nonce: $0) }
    for message in messages { #expect(pool.add(message) == .added) }
    #expect(pool.add(Self.transfer(other, nonce: 0)) == .added)
    #expect(pool.trim(account: signer.id, balanceMicrocredits: 400).isEmpty)
    #expect(pool.trim(account: signer.id, balanceMicrocredits: 299) == [messages[3].value.id, messages[2].value.id])
    #expect(pool.gapped == 0 && pool.count == 3)
    #expect(pool.nextNonce(of: signer.id, from: 0) == 2)
    #expect(pool.trim(account: signer.id, balanceMicrocredits: 0).count == 2)
    #expect(pool.accounts == [other.id])
    #expect(pool.trim(account: signer.id, balanceMicrocredits: 0).isEmpty)
  }

  @Test func theMissingNonceIsPaidForBeforeWhatWaitsBehindIt() throws {
    var pool = Mempool()
    let signer = try Self.signer(1)
    let messages = (0...5).map { Self.transfer(signer, nonce: $0) }
    for nonce in [0, 2, 3, 4, 5] { #expect(pool.add(messages[nonce], balanceMicrocredits: 500) == .added) }
    #expect(pool.add(messages[1], balanceMicrocredits: 199) == .unaffordable)
    #expect(pool.count == 5)
    let dropped = [messages[5].value.id, messages[4].value.id]
    #expect(pool.add(messages[1], balanceMicrocredits: 400) == .displaced(dropped))
    #expect(pool.nextNonce(of: signer.id, from: 0) == 4 && pool.count == 4 && pool.gapped == 0)
    #expect(pool.add(messages[4], balanceMicrocredits: 400) == .unaffordable)
  }

  @Test func aNonceThatGoesLeavesAGap() throws {
    var pool = Mempool()
    let signer = try Self.signer(1)
    let messages = (0..<6).map { Self.transfer(signer, nonce: $0) }
    for message in messages { #expect(pool.add(message) == .added) }
    pool.remove(messages[2].value.id)
    #expect(pool.gapped == 3)
    #expect(pool.candidates(limit: 10) { _ in 0 }.count == 2)
    // Blocks have passed the gap.
    pool.removeStale(account: signer.id, below: 4)
    #expect(pool.gapped == 0 && pool.count == 2)
    #expect(pool.candidates(limit: 10) { _ in 4 }.count == 2)
    pool.remove(messages[4].value.id)
    #expect(pool.gapped == 1)
    #expect(pool.add(Self.transfer(signer, nonce: 4, expires: 7)) == .added)
    #expect(pool.gapped == 0)
    pool.removeExpired(at: 7)
    #expect(pool.gapped == 1 && pool.count == 1)
    pool.removeStale(account: signer.id, below: 9)
    #expect(pool.gapped == 0 && pool.count == 0 && pool.accountCount == 0)
  }
}
