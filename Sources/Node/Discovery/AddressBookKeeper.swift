import Foundation
import Glibc
import Logging
import Membership
import Primitives
import Sodium
import Synchronization
import Wire

/// The address book of a data directory: the file `peers`, written anew in a while when it has changed. A file that can't be
/// read is set aside, never deleted and never a reason not to start.
final class AddressBookKeeper: Sendable {
  /// Longer than the longest book.
  private static let maximumBytes = 4 * 1_024 * 1_024
  /// The most nodes whose dials from the book are under way.
  private static let maximumDialling = 256

  private struct State {
    var book: AddressBook
    var isChanged = false
    /// Nodes dialled from the book, and how many of their addresses have not answered yet.
    var dialling = BoundedMap<NodeID, Int>(capacity: AddressBookKeeper.maximumDialling)
    var generator = SeededGenerator(seed: UInt64.random(in: 0 ... .max))
  }

  private let path: String
  private let logger: Logger
  private let state: Mutex<State>

  init(directory: String, logger: Logger) {
    path = directory + "/peers"
    self.logger = logger
    state = Mutex(State(book: AddressBookKeeper.read(path, logger) ?? AddressBookKeeper.empty()))
  }

  private static func empty() -> AddressBook {
    // The hash of random bytes is as random as they are.
    AddressBook(key: Digest(hashing: randomBytes(32)))
  }

  private static func read(_ path: String, _ logger: Logger) -> AddressBook? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    var reason = "it is too long"
    if status.st_size <= maximumBytes, let data = FileManager.default.contents(atPath: path) {
      do { return try AddressBook(decoding: Array(data)) } catch { reason = "\(error)" }
    }
    let aside = path + ".damaged"
    // The one set aside before is of no more use than this one.
    let isMoved = rename(path, aside) == 0
    logger.warning(
      "the address book \(path) can't be read (\(reason)); \(isMoved ? "it is now \(aside)" : "it is left out of account")"
    )
    return nil
  }

  /// How many nodes were reached, and how many others told of.
  var counts: (tried: Int, new: Int) { state.withLock { $0.book.counts } }

  /// This node has reached another itself.
  func met(_ id: NodeID, _ addresses: [PeerAddress]) {
    state.withLock { state in
      state.dialling.removeValue(forKey: id)
      if state.book.met(id, addresses, at: AddressBookKeeper.now()) { state.isChanged = true }
    }
  }

  /// Others told of nodes by their records.
  func learned(_ nodes: [(id: NodeID, addresses: [PeerAddress], source: PeerAddress)]) {
    state.withLock { state in
      let before = state.book
      for node in nodes { state.book.learned(node.id, node.addresses, from: node.source) }
      if state.book != before { state.isChanged = true }
    }
  }

  /// A dial came to nothing. Only those from the book count, and only when no address of the node has answered.
  func failed(_ id: NodeID) {
    state.withLock { state in
      guard let left = state.dialling[id] else { return }
      guard left <= 1 else {
        state.dialling.insert(left - 1, forKey: id)
        return
      }
      state.dialling.removeValue(forKey: id)
      state.book.failed(id, at: AddressBookKeeper.now())
      state.isChanged = true
    }
  }

  /// Nodes to dial now.
  ///
  /// - Parameter isStarting: true to leave nobody out for having failed before.
  func candidates(count: Int, isStarting: Bool, isWanted: (NodeID) -> Bool) -> [AddressBook.Contact] {
    state.withLock { state in
      // Who failed is left alone for an hour at most: by then everybody's time has come.
      let time = AddressBookKeeper.now() + (isStarting ? 3_600 : 0)
      let dialling = state.dialling
      let found = state.book.candidates(count: count, at: time, &state.generator) {
        isWanted($0) && !dialling.contains($0)
      }
      for contact in found { state.dialling.insert(contact.addresses.count, forKey: contact.id) }
      return found
    }
  }

  /// A node whose place in the book another waits for: it keeps it if it answers.
  func testBeforeEvict() -> AddressBook.Contact? {
    state.withLock { state in
      guard let contact = state.book.testBeforeEvict, !state.dialling.contains(contact.id) else { return nil }
      state.dialling.insert(contact.addresses.count, forKey: contact.id)
      return contact
    }
  }

  /// Writes the book if it has changed. What can't be written is tried again next time.
  func save() {
    let bytes = state.withLock { state -> [UInt8]? in
      guard state.isChanged else { return nil }
      state.isChanged = false
      return state.book.encoded
    }
    guard let bytes else { return }
    do { try DurableFile.write(bytes, to: path) } catch {
      state.withLock { $0.isChanged = true }
      logger.error("the address book \(path) can't be written: \(error)")
    }
  }

  private static func now() -> UInt64 {
    UInt64(max(0, WallTimeSource.now().microsecondsSinceEpoch)) / 1_000_000
  }
}
