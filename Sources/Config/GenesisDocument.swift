import Foundation
import Primitives
import Wire

/// Why a genesis document was refused: what was tried, what is wrong, and what to do.
package struct GenesisDocumentError: Error, Sendable, CustomStringConvertible {
  /// The file, or where the document came from.
  package var source: String
  /// What is wrong.
  package var detail: String

  /// For people.
  package var description: String {
    "the genesis document \(source) can't be used: \(detail); "
      + "copy it unchanged from the host where `linnet genesis create` made it"
  }
}

/// The genesis as a JSON file that people read and hosts share. The network id is the hash of the canonical
/// encoding, so layout and order of keys do not matter.
package enum GenesisDocument {
  /// The longest document that is read, in bytes.
  package static let maximumBytes = 16 * 1_024 * 1_024

  /// The chain parameters by their names in the document.
  package static let parameters: [(name: String, path: WritableKeyPath<ChainParameters, UInt64> & Sendable)] = [
    ("deltaMilliseconds", \.deltaMilliseconds),
    ("deltaCapMilliseconds", \.deltaCapMilliseconds),
    ("blockIntervalMinimumMilliseconds", \.blockIntervalMinimumMilliseconds),
    ("blockIntervalIdleMilliseconds", \.blockIntervalIdleMilliseconds),
    ("standstillMilliseconds", \.standstillMilliseconds),
    ("maximumClockLeadMilliseconds", \.maximumClockLeadMilliseconds),
    ("maximumLedgerStepMilliseconds", \.maximumLedgerStepMilliseconds),
    ("minimumFeeMicrocredits", \.minimumFeeMicrocredits),
    ("offerBondMicrocredits", \.offerBondMicrocredits),
    ("jobStakeMicrocredits", \.jobStakeMicrocredits),
    ("entryDepositMicrocredits", \.entryDepositMicrocredits),
    ("acceptWindowMilliseconds", \.acceptWindowMilliseconds),
    ("renewIntervalMilliseconds", \.renewIntervalMilliseconds),
    ("renewalsMissed", \.renewalsMissed),
    ("revealWindowMilliseconds", \.revealWindowMilliseconds),
    ("commitGraceMilliseconds", \.commitGraceMilliseconds),
    ("retentionMilliseconds", \.retentionMilliseconds),
    ("maximumAssignmentsPerBlock", \.maximumAssignmentsPerBlock),
    ("epochBlocks", \.epochBlocks),
    ("minimumStakeMicrocredits", \.minimumStakeMicrocredits),
    ("slashPartsPerMillion", \.slashPartsPerMillion),
    ("evidenceAgeEpochs", \.evidenceAgeEpochs),
  ]

  /// Reads and checks a document.
  package static func read(path: String) throws(GenesisDocumentError) -> Genesis {
    guard let data = FileManager.default.contents(atPath: path) else {
      let reason = access(path, R_OK) == 0 ? "it is no file" : String(cString: strerror(errno))
      throw GenesisDocumentError(source: path, detail: "it can't be read (\(reason))")
    }
    return try parse(Array(data), source: path)
  }

  /// Checks the bytes of a document.
  package static func parse(_ bytes: [UInt8], source: String) throws(GenesisDocumentError) -> Genesis {
    func refuse(_ detail: String) -> GenesisDocumentError { GenesisDocumentError(source: source, detail: detail) }
    guard bytes.count <= maximumBytes else { throw refuse("it is over \(maximumBytes) bytes") }
    let object: Any
    do { object = try JSONSerialization.jsonObject(with: Data(bytes)) } catch { throw refuse("it is not JSON") }
    guard let fields = object as? [String: Any] else { throw refuse("it is not a JSON object") }
    let known = ["name", "createdMilliseconds", "parameters", "validators", "balances"]
    if let unknown = fields.keys.sorted().first(where: { !known.contains($0) }) {
      throw refuse("the key \"\(unknown)\" is not known")
    }
    guard let name = fields["name"] as? String else { throw refuse("\"name\" must be a text") }
    guard let created = integer(fields["createdMilliseconds"]) else {
      throw refuse("\"createdMilliseconds\" must be a whole number")
    }
    guard let given = fields["parameters"] as? [String: Any] else { throw refuse("\"parameters\" must be an object") }
    var parameters = ChainParameters()
    for key in given.keys.sorted() {
      guard let entry = GenesisDocument.parameters.first(where: { $0.name == key }) else {
        throw refuse("the parameter \"\(key)\" is not known")
      }
      guard let value = integer(given[key]) else { throw refuse("the parameter \"\(key)\" must be a whole number") }
      parameters[keyPath: entry.path] = value
    }
    guard let validatorTexts = fields["validators"] as? [String] else {
      throw refuse("\"validators\" must be a list of node ids")
    }
    var validators: [NodeID] = []
    for text in validatorTexts {
      guard let id = NodeID(text: text) else { throw refuse("\"\(text)\" is not a node id") }
      validators.append(id)
    }
    guard let entries = fields["balances"] as? [[String: Any]] else { throw refuse("\"balances\" must be a list") }
    var balances: [Genesis.Balance] = []
    for entry in entries {
      guard let text = entry["account"] as? String, let account = NodeID(text: text),
        let amount = integer(entry["amountMicrocredits"]), entry.count == 2
      else { throw refuse("each of \"balances\" needs \"account\" (a node id) and \"amountMicrocredits\"") }
      balances.append(Genesis.Balance(account: account, amountMicrocredits: amount))
    }
    do {
      return try Genesis(
        name: name, createdMilliseconds: created, parameters: parameters, validators: validators, balances: balances)
    } catch {
      throw refuse("its content is not valid (\(error))")
    }
  }

  /// The document of a genesis.
  package static func render(_ genesis: Genesis) -> String {
    func quoted(_ text: String) -> String {
      // A JSON encoder escapes what a name may hold; it cannot fail for a string.
      let data = try? JSONSerialization.data(withJSONObject: text, options: [.fragmentsAllowed])
      return data.map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }
    let parameters = GenesisDocument.parameters.map {
      "    \"\($0.name)\": \(genesis.parameters[keyPath: $0.path])"
    }
    let validators = genesis.validators.map { "    \"\($0)\"" }
    let balances = genesis.balances.map {
      "    { \"account\": \"\($0.account)\", \"amountMicrocredits\": \($0.amountMicrocredits) }"
    }
    return """
      {
        "name": \(quoted(genesis.name)),
        "createdMilliseconds": \(genesis.createdMilliseconds),
        "parameters": {
      \(parameters.joined(separator: ",\n"))
        },
        "validators": [
      \(validators.joined(separator: ",\n"))
        ],
        "balances": [
      \(balances.joined(separator: ",\n"))
        ]
      }

      """
  }

  private static func integer(_ value: Any?) -> UInt64? {
    guard let number = value as? NSNumber else { return nil }
    return UInt64(number.stringValue)
  }
}
