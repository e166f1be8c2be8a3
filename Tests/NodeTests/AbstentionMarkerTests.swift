import Foundation
import Testing

@testable import Node

@Suite struct AbstentionMarkerTests {
  @Test func itHoldsReasonAndTime() throws {
    let scratch = try Scratch()
    let marker = AbstentionMarker(directory: scratch.path)
    #expect(marker.abstention == nil)
    try marker.settle(tipMilliseconds: 5)
    #expect(marker.abstention == nil)
    try marker.write("it is\nlost")
    #expect(marker.abstention == .init(reason: "it is lost", untilMilliseconds: .max))
    try marker.settle(tipMilliseconds: 700, nowMilliseconds: 1_000)
    #expect(marker.abstention == .init(reason: "it is lost", untilMilliseconds: 11_000))
    // A later start finds nothing new, however far the chain has come.
    try marker.settle(tipMilliseconds: 50_000, nowMilliseconds: 60_000)
    #expect(marker.abstention?.untilMilliseconds == 11_000)
    // Another loss counts from when it is found, and from the chain when the clock is behind it.
    try marker.write("it is damaged")
    try marker.settle(tipMilliseconds: 70_000, nowMilliseconds: 2_000)
    #expect(marker.abstention == .init(reason: "it is lost", untilMilliseconds: 80_000))
    try marker.clear()
    try marker.clear()
    #expect(marker.abstention == nil)
  }

  @Test(arguments: ["the journal is missing\n", "", "\n"]) func oneOfTheOlderFormatCountsFromWhenItWasWritten(
    text: String
  ) throws {
    let scratch = try Scratch()
    try scratch.write(text, to: "abstain")
    let written = Date(timeIntervalSince1970: 1_700_000_000)
    try FileManager.default.setAttributes([.modificationDate: written], ofItemAtPath: scratch.path + "/abstain")
    let abstention = try #require(AbstentionMarker(directory: scratch.path).abstention)
    #expect(!abstention.reason.isEmpty)
    #expect(abstention.untilMilliseconds == 1_700_000_001_000 + AbstentionMarker.marginMilliseconds)
  }
}
