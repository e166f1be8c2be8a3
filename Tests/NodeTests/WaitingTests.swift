import Core
import Primitives
import Synchronization
import Testing

@testable import Node

@Suite struct CommitBellTests {
  @Test func aRingWakesAllWhoWait() async {
    let bell = CommitBell()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 { group.addTask { await bell.wait(seconds: 3_600) } }
      // Rung until all have come: those that were not waiting yet wait for the next.
      let ringing = Task {
        while !Task.isCancelled {
          bell.ring()
          await Task.yield()
        }
      }
      await group.waitForAll()
      ringing.cancel()
    }
    #expect(bell.rings > 0)
  }

  @Test func aRingBetweenLookingAndWaitingIsNotMissed() async {
    let bell = CommitBell()
    let seen = bell.rings
    bell.ring()
    await bell.wait(seconds: 3_600, seen: seen)
    #expect(bell.rings == seen + 1)
  }

  @Test func aWaitOfNoTimeEnds() async {
    let bell = CommitBell()
    for seconds in [0, -5, 0.000_001] { await bell.wait(seconds: seconds) }
    #expect(bell.rings == 0)
  }

  @Test func aCancelledWaitEnds() async {
    let bell = CommitBell()
    let waiting = Task { await bell.wait(seconds: 3_600) }
    waiting.cancel()
    await waiting.value
    #expect(bell.rings == 0)
  }
}

@Suite struct CoreRequestsTests {
  private let requests = CoreRequests<String>(ending: "ended")

  @Test func eachRequestGetsItsAnswer() async {
    let answer = await requests.wait { number in
      requests.answer(number &+ 1, "another's")
      requests.answer(number, "its own")
      // A second answer has nobody.
      requests.answer(number, "again")
    }
    #expect(answer == "its own")
  }

  @Test func nobodyWaitsForANodeThatStops() async {
    let early = await requests.wait { _ in requests.end() }
    let late = await requests.wait { _ in Issue.record("a request was posted to a core that answers no more") }
    #expect([early, late] == ["ended", "ended"])
  }
}

@Suite struct AsyncQueueTests {
  @Test func workKeepsItsOrder() async {
    let queue = AsyncQueue()
    let (numbers, continuation) = AsyncStream<Int>.makeStream()
    for number in 0..<100 {
      queue.enqueue {
        if number % 7 == 0 { await Task.yield() }
        continuation.yield(number)
        if number == 99 { continuation.finish() }
      }
    }
    var seen: [Int] = []
    for await number in numbers { seen.append(number) }
    #expect(seen == Array(0..<100))
  }
}
