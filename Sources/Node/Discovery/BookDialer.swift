import Core
import Membership
import Primitives
import Transport
import Wire

/// Dials from the address book while links are few, so that a node finds its network again when nobody whom it was told of
/// at first is there any more; and keeps the book: who is met, who is heard of, what is on the disk.
struct BookDialer: Sendable {
  /// As long as a dial may take to connect, so that a round's dials have mostly ended before the next. By the clock, since that
  /// is also what makes most contacts due again: who failed is left alone for a while.
  private static let roundSeconds = 5.0
  /// Fewer links of its own than this, or than there are nodes that it knows of, are few.
  static let enoughLinks = 3
  private static let dialsPerRound = 3
  /// A place that another waits for is looked at once in so many rounds, and so is the book saved.
  private static let roundsPerLook = 12
  /// For so many rounds after a start nobody is left out for having failed: whatever kept them away may be over.
  private static let startingRounds = 12
  /// The most members whose records enter the book at a time.
  private static let membersPerLook = 256

  let book: AddressBookKeeper
  let ownID: NodeID
  let driver: CoreDriver
  let links: LateBound<LinkEndpoint>

  static func isShort(ofLinks links: Int, known: Int) -> Bool { links < min(enoughLinks, known) }

  /// Runs until the task is cancelled; the book is saved then.
  func run() async {
    var round = 0
    while !Task.isCancelled {
      let standing = links.value?.links ?? []
      let linked = standing.map(\.id)
      let counts = book.counts
      // Only those that this node dialled: whoever dials it at will must not be all that it hears.
      let dialled = standing.count { $0.direction == .outbound }
      if BookDialer.isShort(ofLinks: dialled, known: counts.tried + counts.new) {
        let found = book.candidates(count: BookDialer.dialsPerRound, isStarting: round < BookDialer.startingRounds) {
          $0 != ownID && !linked.contains($0)
        }
        for contact in found { dial(contact) }
      }
      if round % BookDialer.roundsPerLook == BookDialer.roundsPerLook - 1 {
        await learn()
        if let contact = book.testBeforeEvict() {
          if linked.contains(contact.id) { book.met(contact.id, contact.addresses) } else { dial(contact) }
        }
        book.save()
      }
      round += 1
      try? await Task.sleep(for: .seconds(BookDialer.roundSeconds))
    }
    book.save()
  }

  private func dial(_ contact: AddressBook.Contact) {
    for address in contact.addresses { links.value?.dial(address, expecting: contact.id) }
  }

  /// Enters some of the members that this node has heard itself, by where it heard them: where a member that others tell of
  /// claims to be proves nothing, and would let one peer fill the book. Who is behind a NAT can't be dialled and is no use
  /// here.
  private func learn() async {
    let found = await driver.read { core, _ in
      core.membership.members.filter {
        $0.id != core.id && $0.isLive && $0.lastSeen != nil && $0.record.via.isEmpty
      }.shuffled().prefix(BookDialer.membersPerLook).map { ($0.id, $0.record.addresses, $0.address) }
    }
    book.learned(
      found.compactMap { id, addresses, seen in seen.map { (id: id, addresses: addresses, source: $0) } })
  }
}

extension TransportError {
  /// Whether a dial failed by what is at the other end, or on the way there, and not by what is here.
  var speaksOfTheOther: Bool {
    switch code {
    // One that closes during the handshake may only have too many of them under way.
    case .unusableAddress, .connectFailed, .handshakeTimeout, .malformedHandshake, .badHandshake, .wrongNetwork,
      .badIdentity, .unexpectedIdentity:
      true
    default: false
    }
  }
}
