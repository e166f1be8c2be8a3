import Foundation
import Primitives
import Testing
import Wire

@testable import Config

@Suite struct GenesisDocumentTests {
  private func genesis(_ change: (inout ChainParameters) -> Void = { _ in }) throws -> Genesis {
    let id = try #require(NodeID(bytes: [UInt8](repeating: 7, count: 32)))
    var parameters = ChainParameters()
    change(&parameters)
    return try Genesis(
      name: "a \"net\"", createdMilliseconds: 5, parameters: parameters, validators: [id],
      balances: [Genesis.Balance(account: id, amountMicrocredits: 9)])
  }

  @Test func everyParameterIsInTheDocument() throws {
    // Values that differ from the defaults and from each other: one that is left out or mixed up shows.
    let genesis = try genesis { parameters in
      for (place, entry) in GenesisDocument.parameters.enumerated() {
        parameters[keyPath: entry.path] = 16 - UInt64(place) % 12
      }
      parameters.epochBlocks = 77
      parameters.slashPartsPerMillion = 999_999
      parameters.minimumStakeMicrocredits = 123
      parameters.evidenceAgeEpochs = 3
    }
    let read = try GenesisDocument.parse(Array(GenesisDocument.render(genesis).utf8), source: "test")
    #expect(read == genesis && read.networkID == genesis.networkID)
    var writer = WireWriter()
    writer.value(genesis.parameters)
    var reader = WireReader(writer.bytes)
    var count = 0
    while reader.remaining > 0 {
      _ = try reader.varint()
      count += 1
    }
    #expect(count == GenesisDocument.parameters.count)
  }

  @Test(arguments: [
    ("epochBlocks", "3"), ("epochBlocks", "16777217"), ("evidenceAgeEpochs", "0"), ("evidenceAgeEpochs", "17"),
    ("slashPartsPerMillion", "1000001"), ("epochBlock", "4"),
  ])
  func whatNoNetworkCanHaveIsRefused(_ name: String, _ value: String) throws {
    let text = GenesisDocument.render(try genesis()).replacing(
      "\"parameters\": {", with: "\"parameters\": {\n    \"\(name)\": \(value),")
    // The name stands twice; the first of two wins or the last, so only the changed one is left.
    let lines = text.split(separator: "\n").filter {
      $0.contains("\"\(name)\": \(value),") || !$0.contains("\"\(name)\":")
    }
    #expect(throws: GenesisDocumentError.self) {
      try GenesisDocument.parse(Array(lines.joined(separator: "\n").utf8), source: "test")
    }
  }

  @Test func whatCannotBeReadSaysWhy() {
    for (path, reason) in [("/none/genesis.json", "No such file or directory"), ("/", "it is no file")] {
      var detail = ""
      do { _ = try GenesisDocument.read(path: path) } catch { detail = error.detail }
      #expect(detail == "it can't be read (\(reason))")
    }
  }
}
