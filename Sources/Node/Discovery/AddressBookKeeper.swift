import Foundation
import Glibc
import Logging
import Membership
import Primitives
import Sodium
import Synchronization
import Wire

/// The address book of a data directory: the file `peers`, written anew in a while when it has changed. A file that holds no
/// book is set aside, and one that can't be read just now is left as it is: neither is a reason not to start.
final class AddressBookKeeper: Sendable {
  /// Longer than the longest book.
  private static let maximumBytes = 4 * 1_024 * 1_024
  /// The most nodes whose dials from the book are under way.
  private static let maximumDialling = 256

  /// A dial of which nothing is heard for so long, in seconds, is over: not every end of it is told.
  private static let diallingSeconds: UInt64 = 60

  private struct Dialling {
    var left: Int
    var since: UInt64

    func isUnderWay(at now: UInt64) -> Bool { now >= since && now - since < AddressBookKeeper.diallingSeconds }
  }

  private struct State {
    var book: AddressBook
    var isChanged = false
    /// Nodes dialled from the book, since when, and how many of their addresses have not answered yet.
    var dialling = BoundedMap<NodeID, Dialling>(capacity: AddressBookKeeper.maximumDialling)
    var generator = SeededGenerator(seed: UInt64.random(in: 0 ... .max))

    mutating func begin(_ contact: AddressBook.Contact, at now: UInt64) {
      dialling.removeValue(forKey: contact.id)
      dialling.insert(Dialling(left: contact.addresses.count, since: now), forKey: contact.id)
    }
  }

  private let path: String
  private let logger: Logger
  /// False when the file holds what could not be read: it is not written over then.
  private let isWritable: Bool
  private let state: Mutex<State>

  init(directory: String, logger: Logger) {
    path = directory + "/peers"
    self.logger = logger
    let found = AddressBookKeeper.read(path, logger)
    if case .unreadable = found { isWritable = false } else { isWritable = true }
    if case .book(let book) = found {
      state = Mutex(State(book: book))
    } else {
      state = Mutex(State(book: AddressBookKeeper.empty()))
    }
  }

  private static func empty() -> AddressBook {
    // The hash of random bytes is as random as they are.
    AddressBook(key: Digest(hashing: randomBytes(32)))
  }

  private enum Found {
    case book(AddressBook)
    case none
    /// Something is there that must not be written over.
    case unreadable
  }

  private static func read(_ path: String, _ logger: Logger) -> Found {
    var status = stat()
    guard stat(path, &status) == 0 else {
      return errno == ENOENT ? .none : unreadable(path, logger)
    }
    var reason = "it is too long"
    if status.st_size <= maximumBytes {
      guard let data = FileManager.default.contents(atPath: path) else { return unreadable(path, logger) }
      do { return .book(try AddressBook(decoding: Array(data))) } catch { reason = "\(error)" }
    }
    let aside = path + ".damaged"
    // The one set aside before is of no more use than this one.
    let isMoved = rename(path, aside) == 0
    logger.warning(
      "the address book \(path) can't be read (\(reason)); \(isMoved ? "it is now \(aside)" : "it is left out of account")"
    )
    return .none
  }

  private static func unreadable(_ path: String, _ logger: Logger) -> Found {
    logger.warning(
      "the address book \(path) can't be read now (\(String(cString: strerror(errno)))), and is left as it is")
    return .unreadable
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
      guard let dialling = state.dialling[id] else { return }
      guard dialling.left <= 1 else {
        _ = state.dialling.modify(id) { $0.left -= 1 }
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
      let now = AddressBookKeeper.now()
      let dialling = state.dialling
      let found = state.book.candidates(count: count, at: now + (isStarting ? 3_600 : 0), &state.generator) {
        isWanted($0) && dialling[$0]?.isUnderWay(at: now) != true
      }
      for contact in found { state.begin(contact, at: now) }
      return found
    }
  }

  /// A node whose place in the book another waits for: it keeps it if it answers.
  func testBeforeEvict() -> AddressBook.Contact? {
    state.withLock { state in
      let now = AddressBookKeeper.now()
      guard let contact = state.book.testBeforeEvict, state.dialling[contact.id]?.isUnderWay(at: now) != true
      else { return nil }
      state.begin(contact, at: now)
      return contact
    }
  }

  /// Writes the book if it has changed. What can't be written is tried again next time.
  func save() {
    guard isWritable else { return }
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
