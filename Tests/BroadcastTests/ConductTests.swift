import Foundation
import Primitives
import Testing
import Wire

@testable import Broadcast

@Suite struct ConductTests {
  private let beat = Microseconds.milliseconds(300)
  private let peer = StandIn.identity(0).id

  @Test func misconductHasAPriceAndAName() {
    #expect(Misconduct.allCases.allSatisfy { $0.points > 0 })
    #expect(OrderedSet(Misconduct.allCases.map(\.description)).members.count == Misconduct.allCases.count)
    #expect(Misconduct.allCases.map(\.rawValue) == Array(1...12))
  }

  @Test func operatorsAreToldEveryPrice() throws {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let text = try String(contentsOf: tests.appending(path: "../docs/operating.md"), encoding: .utf8)
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { $0.split(separator: "|") }
    for misconduct in Misconduct.allCases {
      let once = misconduct.isOncePerHeartbeat ? ", once a heartbeat" : ""
      let isThere = rows.contains { $0[0] == " `\(misconduct)` " && $0[1] == " \(misconduct.points)\(once) " }
      #expect(isThere, "\(misconduct) costs \(misconduct.points)\(once)")
    }
  }

  /// The worst that loss and load can make of an honest node, in every heartbeat for ten minutes, neither closes its link nor
  /// takes it out of the mesh; a flood in every heartbeat does close it.
  @Test func brokenPromisesAloneCloseNothingAndFloodsDo() {
    var book = ConductBook(settings: ConductSettings())
    let worst = BroadcastSettings().pruneScore
    var now = Instant.zero
    for _ in 0..<2_000 {
      for _ in 0..<3 {
        let isAtBottom = book.charge(peer, .brokenPromise, heartbeat: beat, now: now)
        #expect(!isAtBottom)
      }
      #expect(book.score(of: peer, heartbeat: beat, now: now) >= worst)
      now = now + beat
    }
    for misconduct in Misconduct.allCases where misconduct.isOncePerHeartbeat && misconduct != .brokenPromise {
      var book = ConductBook(settings: ConductSettings())
      var beats = 0
      while !book.charge(peer, misconduct, heartbeat: beat, now: Instant.zero + beat * Int64(beats)), beats < 100 {
        beats += 1
      }
      #expect(beats == 10, "\(misconduct)")
    }
  }

  @Test func aBurstOfOneHeartbeatIsChargedOnceAndCountedWhole() throws {
    var book = ConductBook(settings: ConductSettings())
    for _ in 0..<50 {
      let isAtBottom = book.charge(peer, .floodRequest, heartbeat: beat, now: .zero)
      #expect(!isAtBottom)
    }
    let conduct = try #require(book.conduct(of: peer, heartbeat: beat, now: .zero))
    #expect(conduct.costs == [Conduct.Cost(misconduct: .floodRequest, count: 50, points: 15)])
    #expect(conduct.score == -15 && conduct.closings.isEmpty && conduct.bannedUntil == nil)
  }

  @Test func pointsFadeWhetherLinkedOrNot() {
    var book = ConductBook(settings: ConductSettings())
    for _ in 0..<5 { _ = book.charge(peer, .invalidMessage, heartbeat: beat, now: .zero) }
    #expect(book.score(of: peer, heartbeat: beat, now: .zero) == -100)
    #expect(book.score(of: peer, heartbeat: beat, now: Instant.zero + beat) == -90)
    #expect(book.score(of: peer, heartbeat: beat, now: Instant.zero + beat * 7) == -47)
    #expect(book.score(of: peer, heartbeat: beat, now: Instant.zero + .seconds(3_600)) == 0)
    // No deeper than the bottom, whatever comes.
    for _ in 0..<500 { _ = book.charge(peer, .badFrame, heartbeat: beat, now: .zero) }
    #expect(book.score(of: peer, heartbeat: beat, now: .zero) == -100)
  }

  @Test func whatANodeBringsBuysNoMisconduct() {
    var book = ConductBook(settings: ConductSettings())
    for _ in 0..<1_000 { book.credit(peer, heartbeat: beat, now: .zero) }
    #expect(book.score(of: peer, heartbeat: beat, now: .zero) == 50)
    var charges = 1
    while !book.charge(peer, .invalidMessage, heartbeat: beat, now: .zero) { charges += 1 }
    #expect(charges == 5 && book.score(of: peer, heartbeat: beat, now: .zero) == -50)
    #expect(book.conduct(of: peer, heartbeat: beat, now: .zero)?.firsts == 1_000)
  }

  @Test func bansDoubleUpToAnHourAndAreForgottenAfterOne() throws {
    var book = ConductBook(settings: ConductSettings())
    var now = Instant.zero
    func ban() -> Int64 {
      _ = book.charge(peer, .badFrame, heartbeat: beat, now: now)
      let span = book.ban(peer, for: .badFrame, now: now)
      #expect(book.bannedUntil(peer, now: now) == now + span)
      #expect(book.bannedUntil(peer, now: now + span) == nil)
      now = now + span
      return span.count / 1_000_000
    }
    #expect((0..<9).map { _ in ban() } == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600])
    let closings = try #require(book.conduct(of: peer, heartbeat: beat, now: now)).closings
    #expect(closings.count == ConductBook.maximumClosings && closings.first?.banSeconds == 120)
    now = now + .seconds(3_600)
    #expect(ban() == 60)
  }

  @Test func soManyNodesAreRememberedAndTheWorstOfThemLongest() {
    var book = ConductBook(settings: ConductSettings())
    for number in 0..<(2 * ConductBook.maximumNodes) {
      _ = book.charge(StandIn.identity(number + 1).id, .brokenPromise, heartbeat: beat, now: .zero)
      if number % 1_000 == 0 { _ = book.charge(peer, .invalidMessage, heartbeat: beat, now: .zero) }
    }
    #expect(book.count == ConductBook.maximumNodes)
    #expect(book.score(of: peer, heartbeat: beat, now: .zero) == -100)
    #expect(book.conduct(of: StandIn.identity(1).id, heartbeat: beat, now: .zero) == nil)
  }

  private func machine(_ effects: inout [BroadcastEffect]) -> BroadcastMachine {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 1)
    machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects)
    return machine
  }

  /// Agreement needs some links.
  @Test func aLinkThatIsKeptIsNotHeardAndNotClosed() throws {
    var effects: [BroadcastEffect] = []
    var machine = machine(&effects)
    machine.step(.keep([peer]), now: .zero, into: &effects)
    effects = []
    for _ in 0..<2 { machine.step(.misconduct(peer, .badFrame), now: .zero, into: &effects) }
    let isMuted = effects.contains { if case .muted(peer, .badFrame, score: -100) = $0 { true } else { false } }
    #expect(isMuted && !machine.hears(peer) && machine.banSeconds(of: peer, now: .zero) == 0)
    effects = []
    machine.step(.received([StandIn.message(1)], from: peer), now: .zero, into: &effects)
    machine.step(.misconduct(peer, .badFrame), now: .zero, into: &effects)
    #expect(effects.isEmpty)
    let conduct = try #require(machine.conduct(of: peer))
    #expect(conduct.costs == [Conduct.Cost(misconduct: .badFrame, count: 3, points: 150)])
    #expect(conduct.closings == [Conduct.Closing(at: .zero, misconduct: .badFrame, banSeconds: 0)])
    machine.step(.tick, now: Instant.zero + .milliseconds(2_100), into: &effects)
    #expect(machine.hears(peer))
  }

  @Test func aBanEndsForWhoIsToBeKept() {
    var effects: [BroadcastEffect] = []
    var machine = machine(&effects)
    for _ in 0..<2 { machine.step(.misconduct(peer, .badFrame), now: .zero, into: &effects) }
    let later = Instant.zero + .milliseconds(500)
    #expect(machine.banSeconds(of: peer, now: .zero) == 60 && machine.banSeconds(of: peer, now: later) == 60)
    #expect(machine.banSeconds(of: peer, now: Instant.zero + .seconds(60)) == 0)
    machine.step(.linkDown(peer), now: .zero, into: &effects)
    machine.step(.keep([peer]), now: .zero, into: &effects)
    machine.step(.keep([]), now: .zero, into: &effects)
    #expect(machine.banSeconds(of: peer, now: .zero) == 0)
  }

  /// Whoever sends rubbish and hangs up before it was looked at is not let in either; once is enough to say so.
  @Test func listsOfNothingAreAFloodTooWhenTheyAreMany() {
    let settings = BroadcastSettings()
    let floods = [
      (BroadcastInput.announced([], from: peer), settings.maximumAnnouncedPerHeartbeat, Misconduct.floodAnnounce),
      (.requested([], from: peer), settings.maximumRequestedPerHeartbeat, .floodRequest),
    ]
    for (input, taken, misconduct) in floods {
      var effects: [BroadcastEffect] = []
      var machine = machine(&effects)
      for _ in 0..<(taken * settings.floodFactor) { machine.step(input, now: .zero, into: &effects) }
      #expect(machine.conduct(of: peer) == nil)
      machine.step(input, now: .zero, into: &effects)
      #expect(machine.conduct(of: peer)?.costs.map(\.misconduct) == [misconduct])
    }
  }

  @Test func whoHasHungUpIsChargedAndBannedOnce() {
    var effects: [BroadcastEffect] = []
    var machine = machine(&effects)
    machine.step(.linkDown(peer), now: .zero, into: &effects)
    effects = []
    for _ in 0..<6 { machine.step(.misconduct(peer, .badFrame), now: .zero, into: &effects) }
    guard case .close(peer, .badFrame, score: -100, banSeconds: 60)? = effects.first else {
      Issue.record("\(effects)")
      return
    }
    #expect(effects.count == 1)
    #expect(machine.conduct(of: peer)?.costs.first?.count == 6)
    #expect(machine.conduct(of: StandIn.identity(9).id) == nil)
  }
}
