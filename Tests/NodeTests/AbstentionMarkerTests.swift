import Foundation
import Testing

@testable import Node

@Suite struct AbstentionMarkerTests {
  @Test func itHoldsReasonAndTime() throws {
    let scratch = try Scratch()
    let marker = AbstentionMarker(directory: scratch.path)
    #expect(marker.abstention == nil)
    try marker.extend(past: 5)
    #expect(marker.abstention == nil)
    try marker.write("it is\nlost", foundMilliseconds: 1_000)
    #expect(marker.abstention == .init(reason: "it is lost", untilMilliseconds: 11_000))
    // The first reason stays, and the later time.
    try marker.write("it is damaged", foundMilliseconds: 500)
    #expect(marker.abstention?.untilMilliseconds == 11_000)
    try marker.write("it is damaged", foundMilliseconds: 2_000)
    #expect(marker.abstention == .init(reason: "it is lost", untilMilliseconds: 12_000))
    try marker.extend(past: 12_000)
    #expect(marker.abstention?.untilMilliseconds == 12_000)
    try marker.extend(past: 13_000)
    #expect(marker.abstention?.untilMilliseconds == 23_000)
    try marker.write("late", foundMilliseconds: .max)
    #expect(marker.abstention?.untilMilliseconds == .max)
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
