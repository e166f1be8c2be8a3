import Control
import Core
import Membership
import Primitives
import Testing
import Transport
import Wire

@testable import Node

@Suite struct EventFeedTests {
  private let time = WallTime(microsecondsSinceEpoch: 5)

  private func ring(_ count: Int) -> EventRing {
    var ring = EventRing()
    for number in 1...count {
      ring.add(number.isMultiple(of: 2) ? .linkUp : .linkDown, peer: "p\(number)", .init(), at: time)
    }
    return ring
  }

  private func collect(_ feed: EventFeed, _ request: EventRequest) async throws -> [EventAnswer] {
    var events: [EventAnswer] = []
    for try await event in try feed.events(request) { events.append(event) }
    return events
  }

  @Test func aReaderSeesEachEventOnceAndInOrder() {
    var ring = ring(5)
    var place: UInt64 = 2
    var seen: [String?] = []
    while case .event(let event) = ring.read(at: &place, kinds: []) { seen.append(event.peer) }
    #expect(seen == ["p2", "p3", "p4", "p5"] && place == 6)
    let end = ring.read(at: &place, kinds: [])
    #expect(end == .end)
  }

  @Test func kindsThatNobodyAskedForArePassedOver() {
    var ring = ring(5)
    var place: UInt64 = 1
    var seen: [UInt64] = []
    while case .event(let event) = ring.read(at: &place, kinds: [.linkUp]) { seen.append(event.sequence) }
    #expect(seen == [2, 4] && place == 6)
  }

  @Test func whatIsForgottenIsToldAndCounted() {
    var ring = ring(EventRing.capacity + 10)
    #expect(ring.oldest == 11 && ring.next == UInt64(EventRing.capacity) + 11)
    var place: UInt64 = 4
    let gap = ring.read(at: &place, kinds: [.linkUp])
    #expect(gap == .gap(missed: 7))
    guard case .event(let event) = ring.read(at: &place, kinds: []) else { return #expect(Bool(false)) }
    #expect(event.sequence == 11 && ring.missed == 7)
  }

  @Test func withoutFollowingItEnds() async throws {
    let feed = EventFeed()
    for number in 1...3 { feed.add(.healed, .init(members: number)) }
    #expect(try await collect(feed, EventRequest(follow: false)).map(\.sequence) == [1, 2, 3])
    #expect(try await collect(feed, EventRequest(from: 3, follow: false)).map(\.detail.members) == [3])
    #expect(try await collect(feed, EventRequest(from: 4, follow: false)).isEmpty)
    let anew = #expect(throws: ControlError.self) { try feed.events(EventRequest(from: 5)) }
    #expect(anew?.code == "eventsBegunAnew" && anew?.status == 409)
  }

  /// Who asks for all that is kept has missed nothing, however much was forgotten before.
  @Test func fromNothingBeginsAtTheOldest() async throws {
    let feed = EventFeed()
    for _ in 0..<(EventRing.capacity + 3) { feed.add(.nat) }
    let all = try await collect(feed, EventRequest(follow: false))
    #expect(all.count == EventRing.capacity && all.first?.sequence == 4 && feed.missed == 0)
    let late = try await collect(feed, EventRequest(from: 1, follow: false))
    #expect(late.first?.kind == .gap && late.first?.detail.missed == 3 && late.first?.sequence == 4)
    #expect(late.count == EventRing.capacity + 1 && feed.missed == 3)
  }

  @Test func aFollowerHearsWhatComesAndEndsWhenItIsCancelled() async throws {
    let feed = EventFeed()
    let (heard, continuation) = AsyncStream<UInt64>.makeStream()
    let follower = Task {
      for try await event in try feed.events(EventRequest()) { continuation.yield(event.sequence) }
    }
    var numbers: [UInt64] = []
    feed.add(.split)
    for await number in heard {
      numbers.append(number)
      if numbers.count == 3 { break }
      feed.add(.split)
    }
    #expect(numbers == [1, 2, 3])
    follower.cancel()
    await #expect(throws: CancellationError.self) { try await follower.value }
  }
}

@Suite struct NetworkLogTests {
  private func events(_ log: NetworkLog) async throws -> [EventAnswer] {
    var events: [EventAnswer] = []
    for try await event in try log.feed.events(EventRequest(follow: false)) { events.append(event) }
    return events
  }

  @Test func whatTheCoreSawIsToldWithItsNodes() async throws {
    let (own, other, third) = (try nodeID(1), try nodeID(2), try nodeID(3))
    let place = try #require(PeerAddress(text: "198.51.100.1:7447"))
    let log = NetworkLog(own: own)
    log.changed(other, from: .alive, to: .suspect, accusers: [third])
    log.changed(other, from: nil, to: .alive, accusers: [])
    log.note(NetworkEvent.accused(own, by: other, incarnation: 4))
    log.note(NetworkEvent.refuted(other, incarnation: 5, accusers: [own, third]))
    log.note(NetworkEvent.closedForMisconduct(other, score: -120, banSeconds: 60))
    log.note(NetworkEvent.addressLearned(place, reporters: 2))
    log.note(NetworkEvent.addressChanged(from: [], to: [place]))
    log.note(NetworkEvent.nat(isBehind: true, via: [third]))
    log.note(NetworkEvent.split(members: 6))
    log.note(NetworkEvent.healed(members: 4))
    let told = try await events(log)
    let kinds: [EventKind] = [
      .member, .member, .accusation, .refutation, .scoreClosed, .addressLearned, .addressChanged, .nat, .split, .healed,
    ]
    #expect(told.map(\.kind) == kinds)
    // Of this node itself none speaks by its id.
    #expect(told.map(\.peer) == ["\(other)", "\(other)", nil, "\(other)", "\(other)", nil, nil, nil, nil, nil])
    #expect(told[0].detail == .init(from: .alive, to: .suspect, accusers: ["\(third)"]))
    #expect(told[1].detail == .init(to: .alive))
    #expect(told[2].detail == .init(accusers: ["\(other)"], incarnation: 4))
    #expect(told[3].detail == .init(accusers: ["\(own)", "\(third)"], incarnation: 5))
    #expect(told[4].detail == .init(score: -120, banSeconds: 60))
    #expect(told[5].detail == .init(address: "\(place)", reporters: 2))
    #expect(told[6].detail == .init(addresses: ["\(place)"], before: []))
    #expect(told[7].detail == .init(isOn: true, via: ["\(third)"]))
    #expect(told[8].detail == .init(members: 6) && told[9].detail == .init(members: 4))
  }

  @Test func aDialThatFailsForEverIsToldOnce() async throws {
    let log = NetworkLog(own: try nodeID(1))
    let peer = try nodeID(2)
    let place = try #require(PeerAddress(text: "192.0.2.1:7447"))
    let refused = TransportError(.connectFailed, "refused")
    for _ in 0..<3 { log.note(LinkEvent.dialFailed(place, peer, refused)) }
    #expect(log.failure(at: place)?.reason == "\(refused)")
    // These are no failures: the link is there already, or it is this node.
    log.note(LinkEvent.dialFailed(place, peer, TransportError(.alreadyLinked, "there is one")))
    log.note(LinkEvent.dialFailed(place, peer, TransportError(.ownIdentity, "it is me")))
    #expect(log.failure(at: place)?.reason == "\(refused)")
    log.note(LinkEvent.up(peer, place, .outbound))
    #expect(log.failure(at: place) == nil)
    log.note(LinkEvent.down(peer, .silent))
    log.note(LinkEvent.dialFailed(place, nil, refused))
    let told = try await events(log)
    #expect(told.map(\.kind) == [.dialFailed, .linkUp, .linkDown, .dialFailed])
    #expect(told[0].detail == .init(address: "\(place)", reason: "\(refused)") && told[0].peer == "\(peer)")
    #expect(told[1].detail == .init(address: "\(place)", direction: "outbound"))
    #expect(told[2].detail == .init(reason: "\(LinkCloseReason.silent)") && told[3].peer == nil)
  }

  @Test func aFailureIsToldAgainWhenItIsAnotherOrOld() throws {
    var log = DialLog()
    let place = try #require(PeerAddress(text: "192.0.2.1:7447"))
    func at(_ seconds: Int64) -> WallTime { WallTime(microsecondsSinceEpoch: seconds * 1_000_000) }
    let first = log.failed(place, "refused", at: at(0))
    let again = log.failed(place, "refused", at: at(599))
    #expect(first && !again && log[place]?.at == at(599))
    let old = log.failed(place, "refused", at: at(600))
    let other = log.failed(place, "no route", at: at(601))
    #expect(old && other)
    for port in 1...DialLog.capacity {
      _ = log.failed(try #require(PeerAddress(ip: [192, 0, 2, 2], port: UInt16(port))), "x", at: at(700))
    }
    #expect(log[place] == nil)
  }

  @Test func lostSocketsAndLoadAreSeenByTheCounters() {
    var watch = DatagramWatch()
    func kinds(_ counters: [(String, UInt64)]) -> [EventKind] { watch.look(at: counters).map(\.kind) }
    #expect(kinds([]).isEmpty)
    // Lost, and not bound again yet.
    #expect(kinds([("socketLost", 1), ("bindFailed", 1)]).isEmpty)
    #expect(kinds([("socketLost", 1), ("bindFailed", 1), ("bound", 1)]) == [.socketRebound])
    #expect(kinds([("socketLost", 1), ("bindFailed", 1), ("bound", 1)]).isEmpty)
    var load = watch.look(at: [("cookieSent", 3), ("bound", 1)])
    #expect(load.map(\.kind) == [.load] && load[0].isOn == true)
    #expect(kinds([("cookieSent", 5), ("bound", 1)]).isEmpty)
    load = watch.look(at: [("cookieSent", 5), ("bound", 1)])
    #expect(load.map(\.kind) == [.load] && load[0].isOn == false)
  }
}

@Suite struct AskedPingTests {
  @Test func eachOutcomeHasItsWord() throws {
    let place = try #require(PeerAddress(text: "192.0.2.1:7447"))
    let answered = PeerPinger.answer(to: 3, .answered(roundTrip: .milliseconds(2), from: place))
    #expect(answered == PingAnswer(sequence: 3, path: .udp, address: "\(place)", rttMicroseconds: 2_000))
    let words = [PingOutcome.timedOut, .noAddress, .notAMember, .busy].map { PeerPinger.answer(to: 1, $0).error }
    #expect(words == [.timedOut, .noAddress, .notAMember, .busy])
  }
}
