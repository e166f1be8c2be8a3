import Primitives
import Testing

@testable import Node

@Suite struct SuccessorsTests {
  private let ids = (0..<4).map { Digest(hashing: [UInt8($0)]) }

  @Test func whatWasNeverSignedAnewKeepsItsId() {
    let successors = Successors()
    #expect(successors.snapshot.current(of: ids[0]) == ids[0])
    #expect(successors.snapshot.told(of: ids[0]) == ids[0])
  }

  @Test func anyIdIsFollowedOverAllThatCameAfter() {
    let successors = Successors()
    successors.note(ids[0], as: ids[1])
    let before = successors.snapshot
    successors.note(ids[1], as: ids[2])
    let now = successors.snapshot
    #expect(ids[0...2].allSatisfy { now.current(of: $0) == ids[2] && now.told(of: $0) == ids[0] })
    #expect(now.current(of: ids[3]) == ids[3])
    #expect(before.current(of: ids[0]) == ids[1])
  }
}
