import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

private func node(_ number: Int) -> NodeID { NodeID(Digest(hashing: Array("node \(number)".utf8)).value) }

/// An address in a prefix of its own.
private func far(_ number: Int) -> PeerAddress {
  place("\(11 + number / 65_536 % 100).\(number / 256 % 256).\(number % 256).1:7447")
}

@Suite struct AddressBookTests {
  private let key = Digest(hashing: [1, 2, 3])
  private let teller = place("198.51.100.1:7447")

  private func check(_ book: AddressBook) {
    let counts = book.counts
    #expect(counts.tried <= 64 * 16 && counts.new <= 256 * 16)
    var held = Table<AddressBook.Bucket, Int>()
    var places = Table<String, Int>()
    for (id, entry) in book.entries {
      let bucket = book.bucket(of: id, entry)
      held[bucket, default: 0] += 1
      if let first = entry.addresses.first, !first.isPrivate {
        places["\(bucket) \(first.prefix)", default: 0] += 1
      }
    }
    #expect(held.values.allSatisfy { $0 <= AddressBook.bucketCapacity })
    #expect(places.values.allSatisfy { $0 <= AddressBook.maximumPerPrefix })
  }

  @Test func whoWasMetIsTriedAndWhoWasToldOfIsNew() {
    var book = AddressBook(key: key)
    book.learned(node(1), [far(1)], from: teller)
    book.learned(node(2), [far(2)], from: teller)
    book.met(node(2), [far(2)], at: 100)
    book.met(node(3), [far(3)], at: 100)
    #expect(book.counts == (2, 1))
    // A record that others tell of moves nobody who was reached.
    book.learned(node(2), [far(9)], from: teller)
    #expect(book.entries[node(2)]?.addresses == [far(2)])
    book.learned(node(1), [far(8)], from: teller)
    #expect(book.entries[node(1)]?.addresses == [far(8)] && book.counts == (2, 1))
    // What can't be written to is no entry.
    book.learned(node(4), [place("0.0.0.0:1"), place("10.0.0.1:0")], from: teller)
    let isKept = book.met(node(4), [], at: 100)
    #expect(!isKept && book.counts == (2, 1))
    var generator = SeededGenerator(seed: 1)
    let all = book.candidates(count: 3, at: 200, &generator) { _ in true }
    #expect(OrderedSet(all.map(\.id)) == OrderedSet([node(1), node(2), node(3)]))
    let some = book.candidates(count: 2, at: 200, &generator) { $0 != node(2) }
    #expect(OrderedSet(some.map(\.id)) == OrderedSet([node(1), node(3)]))
  }

  @Test func whoIsSaidToHaveMovedWhereThereIsNoRoomIsKeptWhereItWas() {
    var book = AddressBook(key: key)
    book.learned(node(1), [far(8)], from: teller)
    for number in 2...3 { book.learned(node(number), [place("192.0.2.\(number):7447")], from: teller) }
    book.learned(node(1), [place("192.0.2.1:7447")], from: teller)
    #expect(book.entries[node(1)]?.addresses == [far(8)] && book.counts == (0, 3))
  }

  @Test func whoHasAMillionIdentitiesInOnePlaceFillsNextToNothing() {
    var book = AddressBook(key: key)
    var places = 0
    // Twenty thousand stand for a million; they come by themselves and by way of honest tellers.
    for number in 0..<20_000 {
      let from = number % 4 == 0 ? far(number % 30) : place("203.0.113.\(number % 250 + 1):7447")
      book.learned(node(number), [place("203.0.113.\(number % 250 + 1):\(1 + number / 250)")], from: from)
      places = max(places, book.counts.new)
    }
    check(book)
    #expect(places > 0 && places * 50 <= 256 * 16)
  }

  @Test func aBookIsBoundedAndItsTriedKeepTheirPlaces() {
    var book = AddressBook(key: key)
    for number in 0..<12_000 { book.learned(node(number), [far(number)], from: far(number / 7 + 30_000)) }
    for number in 20_000..<23_000 { book.met(node(number), [far(number)], at: UInt64(number)) }
    check(book)
    #expect(book.counts.tried > 900)
    // The first are still there: a crowd of newcomers, alive though they are, ousts nobody that answers.
    let early = (20_000..<20_100).filter { book.entries[node($0)] != nil }
    #expect(early.count > 95)
  }

  @Test func whoWantsATakenPlaceWaitsUntilItsHolderFails() throws {
    var book = AddressBook(key: key)
    // Three of one prefix whose bucket is the same.
    let same = (0..<10_000).filter { number in
      let entry = AddressBook.Entry(
        addresses: [place("203.0.113.7:1")], source: [], metAt: 0, triedAt: 0, failures: 0)
      return book.bucket(of: node(number), entry).number == 5
    }
    let (first, second, third) = (node(same[0]), node(same[1]), node(same[2]))
    let here = [place("203.0.113.7:1")]
    let arePlaced = [book.met(first, here, at: 10), book.met(second, here, at: 20)]
    #expect(arePlaced == [true, true] && book.testBeforeEvict == nil)
    let isPlaced = book.met(third, here, at: 30)
    #expect(!isPlaced)
    #expect(book.testBeforeEvict?.id == first)
    // It answers, and stays.
    book.met(first, here, at: 40)
    #expect(book.testBeforeEvict == nil && book.entries[third] == nil)
    // The next time it does not.
    book.met(third, here, at: 50)
    let incumbent = try #require(book.testBeforeEvict)
    #expect(incumbent.id == second)
    book.failed(second, at: 60)
    #expect(book.entries[second] == nil && book.entries[third]?.isTried == true && book.testBeforeEvict == nil)
    check(book)
  }

  @Test func whoFailsIsLeftAloneForLongerAndThenForgotten() {
    var book = AddressBook(key: key)
    book.learned(node(1), [far(1)], from: teller)
    book.met(node(2), [far(2)], at: 1_000)
    var generator = SeededGenerator(seed: 2)
    func due(_ book: AddressBook, _ at: UInt64) -> [NodeID] {
      book.candidates(count: 9, at: at, &generator) { _ in true }.map(\.id)
    }
    book.failed(node(2), at: 2_000)
    #expect(due(book, 2_010) == [node(1)])
    // Who has not failed goes first among its like; half are of each kind.
    #expect(OrderedSet(due(book, 2_030)) == OrderedSet([node(1), node(2)]))
    book.failed(node(2), at: 2_030)
    #expect(due(book, 2_070) == [node(1)] && due(book, 2_090).count == 2)
    // A clock that was set back holds nobody up.
    #expect(due(book, 5).count == 2)
    for _ in 0..<3 { book.failed(node(1), at: 3_000) }
    #expect(book.entries[node(1)] == nil)
    for _ in 0..<20 { book.failed(node(2), at: 4_000) }
    #expect(book.entries[node(2)] != nil)
    #expect(due(book, 4_000 + 3_599).isEmpty && due(book, 4_000 + 3_600).count == 1)
    book.failed(node(2), at: 1_001 + 30 * 24 * 3_600)
    #expect(book.entries[node(2)] == nil)
    book.failed(node(2), at: 9)
    #expect(book.counts == (0, 0))
  }

  @Test func whatWasSavedIsReadAgainAndNothingElse() throws {
    var book = AddressBook(key: key)
    for number in 0..<2_000 { book.learned(node(number), [far(number)], from: far(number / 9 + 30_000)) }
    for number in 1_500..<1_700 { book.met(node(number), [far(number), place("10.0.0.1:1")], at: UInt64(number)) }
    for number in stride(from: 0, to: 1_700, by: 3) { book.failed(node(number), at: 5_000) }
    let bytes = book.encoded
    let read = try AddressBook(decoding: bytes)
    #expect(read == book && read.encoded == bytes)
    check(read)
    #expect(try AddressBook(decoding: AddressBook(key: key).encoded) == AddressBook(key: key))
    for cut in [0, 1, 32, 33, 40, bytes.count - 1] {
      #expect(throws: WireError.self) { try AddressBook(decoding: Array(bytes.prefix(cut))) }
    }
    #expect(throws: WireError.self) { try AddressBook(decoding: bytes + [0]) }
    var other = bytes
    other[0] = 2
    #expect(throws: WireError.badValue(what: "address book version")) { try AddressBook(decoding: other) }
    // Under another key the buckets are others, and these entries overfill some.
    var writer = WireWriter()
    writer.uint8(1)
    writer.digest(key)
    writer.varint(3)
    for id in [node(1), node(2), node(3)].sorted() {
      writer.nodeID(id)
      writer.array([place("203.0.113.1:1")])
      writer.lengthPrefixed([1, 2, 3])
      writer.uint64(0)
      writer.uint64(0)
      writer.uint16(0)
    }
    // What does not fit is left out; the rest is worth having.
    let fitting = try AddressBook(decoding: writer.bytes)
    #expect(fitting.counts.new == 2)
    check(fitting)
  }

  @Test func whoMovesWithinItsBucketDoesNotOverfillIt() throws {
    var book = AddressBook(key: key)
    func number(of address: PeerAddress, _ id: NodeID) -> Int {
      let entry = AddressBook.Entry(addresses: [address], source: [], metAt: 0, triedAt: 0, failures: 0)
      return book.bucket(of: id, entry).number
    }
    let (here, there) = (place("203.0.113.7:1"), place("198.51.100.7:1"))
    let same = (0..<40_000).filter { number(of: here, node($0)) == 5 }
    let residents = same.prefix(2).map { node($0) }
    let mover = try #require(same.dropFirst(2).first { number(of: there, node($0)) == 5 })
    book.met(residents[0], [here], at: 10)
    book.met(residents[1], [here], at: 20)
    book.met(node(mover), [there], at: 30)
    let isMoved = book.met(node(mover), [here], at: 40)
    #expect(!isMoved && book.entries[node(mover)]?.addresses == [there])
    check(book)
    #expect(try AddressBook(decoding: book.encoded).counts.tried == 3)
  }

  @Test func theSameCallsChooseTheSame() {
    func run(_ seed: UInt64) -> [NodeID] {
      var book = AddressBook(key: key)
      var generator = SeededGenerator(seed: seed)
      for number in 0..<300 { book.learned(node(number), [far(number)], from: teller) }
      for number in 100..<150 { book.met(node(number), [far(number)], at: 5) }
      return book.candidates(count: 10, at: 50, &generator) { _ in true }.map(\.id)
    }
    #expect(run(1) == run(1) && run(1) != run(2) && run(1).count == 10)
  }
}
