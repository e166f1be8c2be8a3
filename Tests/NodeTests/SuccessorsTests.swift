import Primitives
import Testing

@testable import Node

@Suite struct SuccessorsTests {
  private let ids = (0..<4).map { Digest(hashing: [UInt8($0)]) }

  @Test func whatWasNeverSignedAnewKeepsItsId() {
    let successors = Successors()
    #expect(successors.current(of: ids[0]) == ids[0])
    #expect(successors.told(of: ids[0]) == ids[0])
  }

  @Test func theToldIdIsFollowedOverAllThatCameAfter() {
    let successors = Successors()
    successors.note(ids[0], as: ids[1])
    successors.note(ids[1], as: ids[2])
    #expect(successors.current(of: ids[0]) == ids[2])
    #expect(successors.told(of: ids[2]) == ids[0])
    #expect(successors.current(of: ids[3]) == ids[3])
  }
}
