import Foundation
import Membership
import Primitives
import Testing
import Wire

@testable import Node

@Suite struct AddressBookKeeperTests {
  private func address(_ text: String) throws -> PeerAddress { try #require(PeerAddress(text: text)) }

  @Test func whoWasMetIsThereAfterARestart() throws {
    let scratch = try Scratch()
    let id = try nodeID(1)
    let book = AddressBookKeeper(directory: scratch.path, logger: silence())
    #expect(book.counts == (0, 0))
    book.save()
    #expect(scratch.text("peers") == nil && !FileManager.default.fileExists(atPath: scratch.path + "/peers"))
    book.met(id, [try address("192.0.2.1:7447")])
    book.learned([
      (id: try nodeID(2), addresses: [try address("198.51.100.1:7447")], source: try address("203.0.113.1:1"))
    ])
    book.save()
    let again = AddressBookKeeper(directory: scratch.path, logger: silence())
    #expect(again.counts == (1, 1))
    let found = again.candidates(count: 3, isStarting: true) { _ in true }
    #expect(Set(found.map(\.id)) == [id, try nodeID(2)])
    #expect(found.first { $0.id == id }?.addresses == [try address("192.0.2.1:7447")])
    #expect(again.candidates(count: 3, isStarting: true) { _ in true }.isEmpty, "they are being dialled")
  }

  @Test func aDamagedFileIsSetAside() throws {
    let scratch = try Scratch()
    let book = AddressBookKeeper(directory: scratch.path, logger: silence())
    book.met(try nodeID(1), [try address("192.0.2.1:7447")])
    book.save()
    let path = scratch.path + "/peers"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes.removeLast()
    try bytes.write(to: URL(fileURLWithPath: path))
    let again = AddressBookKeeper(directory: scratch.path, logger: silence())
    #expect(again.counts == (0, 0))
    #expect(try Data(contentsOf: URL(fileURLWithPath: path + ".damaged")) == bytes)
    #expect(!FileManager.default.fileExists(atPath: path))
    // It is written anew by and by.
    again.met(try nodeID(3), [try address("192.0.2.3:7447")])
    again.save()
    #expect(AddressBookKeeper(directory: scratch.path, logger: silence()).counts == (1, 0))
  }

  @Test func whatCannotBeReadJustNowIsNotWrittenOver() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/peers"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    let book = AddressBookKeeper(directory: scratch.path, logger: silence())
    book.met(try nodeID(1), [try address("192.0.2.1:7447")])
    book.save()
    #expect(book.counts == (1, 0))
    var isDirectory: ObjCBool = false
    #expect(FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue)
    #expect(!FileManager.default.fileExists(atPath: path + ".damaged"))
  }

  @Test func onlyANodeThatAnswersNowhereHasFailed() throws {
    let scratch = try Scratch()
    let book = AddressBookKeeper(directory: scratch.path, logger: silence())
    let id = try nodeID(1)
    book.met(id, [try address("192.0.2.1:7447"), try address("198.51.100.1:7447")])
    func candidates(isStarting: Bool = false) -> [NodeID] {
      book.candidates(count: 1, isStarting: isStarting) { _ in true }.map(\.id)
    }
    // A dial that is none of the book's says nothing.
    book.failed(id)
    #expect(candidates() == [id])
    book.failed(id)
    #expect(candidates().isEmpty, "one of its addresses may answer still")
    book.failed(id)
    #expect(candidates().isEmpty, "who failed is left alone for a while")
    #expect(candidates(isStarting: true) == [id], "but not after a start")
  }

  @Test func linksAreFewBelowThreeOrAllThatThereAre() {
    #expect(BookDialer.isShort(ofLinks: 2, known: 10))
    #expect(!BookDialer.isShort(ofLinks: 3, known: 10))
    #expect(BookDialer.isShort(ofLinks: 0, known: 1))
    #expect(!BookDialer.isShort(ofLinks: 1, known: 1))
    #expect(!BookDialer.isShort(ofLinks: 0, known: 0))
  }
}
