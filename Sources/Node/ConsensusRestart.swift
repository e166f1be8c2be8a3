import Config
import Foundation
import Journal
import Ledger
import Logging
import Primitives
import Wire

/// Begins a new network where one stopped for good: when more validators than it tolerates have lost their journals, no
/// quorum may vote any more, and nobody but the operators can say that the votes of before count no longer.
package struct ConsensusRestart {
  /// What was made.
  package struct Outcome: Sendable {
    /// What the new network begins with.
    package var genesis: Genesis
    /// The last final block of the old one, as this data directory has it.
    package var height: UInt64
    /// The state root after that block.
    package var stateRoot: Digest
  }

  private let configuration: NodeConfiguration
  private let old: Genesis
  private let directory: DataDirectory
  private let logger: Logger

  /// Takes hold of a data directory; no daemon may run on it.
  ///
  /// - Parameter genesis: what the old network began with.
  package init(configuration: NodeConfiguration, genesis: Genesis, logger: Logger) throws(NodeError) {
    self.configuration = configuration
    // What was lost is known; here it is only read.
    var quiet = logger
    quiet.logLevel = .critical
    self.logger = quiet
    old = genesis
    guard FileManager.default.fileExists(atPath: configuration.journal.directory) else {
      throw NodeError(
        .dataDirectory, "there is no chain in \(configuration.journal.directory)",
        suggestion: "name the data directory of a node of the network with --data-directory")
    }
    directory = try DataDirectory(path: configuration.node.dataDirectory)
    if FileManager.default.fileExists(
      atPath: configuration.node.dataDirectory + "/network" + ConsensusRestart.suffix(of: genesis))
    {
      // The file that names the network was moved away, by an adoption that did not come to its end.
      try checkJournal(of: genesis.networkID)
    } else {
      try directory.bind(to: genesis.networkID)
    }
  }

  /// What the names of the old network's files end with.
  private static func suffix(of genesis: Genesis) -> String { ".\(genesis.networkID.description.prefix(16))" }

  private func checkJournal(of networkID: Digest) throws(NodeError) {
    let path = configuration.journal.directory + "/journal"
    let found = try? JournalReader(directory: path).read { _ in }.networkID
    guard let found, found != networkID.bytes else { return }
    throw NodeError(
      .wrongNetwork, "\(path) is of another network than the genesis",
      suggestion: "name the genesis of the network that stopped with --genesis")
  }

  /// Reads the last final state and makes a genesis of it. The same state and validators give the same genesis.
  package func make(validators: [NodeID]) throws(NodeError) -> Outcome {
    // Not as a key that never voted: a journal that is missing must stay known as lost.
    let opened = try ChainStorage.open(
      directory: configuration.journal.directory, genesis: old, sequenceFloor: 0, neverVoted: false, logger: logger)
    opened.storage.close()
    let ledger = opened.recovery.ledger
    guard let state = ledger.state(at: ledger.finalID), state.height > 0 else {
      throw NodeError(
        .storage, "\(configuration.journal.directory) holds no final block that can be read",
        suggestion: "use the data directory of a node that has them; a network without any begins with a new genesis")
    }
    let genesis = try RestartGenesis.make(
      from: state, of: old, timestampMilliseconds: opened.recovery.tip.timestampMilliseconds, validators: validators)
    return Outcome(genesis: genesis, height: state.height, stateRoot: state.stateRoot)
  }

  /// Makes the data directory the new network's. The key stays; the chain, the vote keys and the genesis of the old
  /// network stay beside it, with the beginning of its id behind their names.
  ///
  /// - Returns: where the old chain is.
  package func adopt(_ genesis: Genesis) throws(NodeError) -> String {
    let suffix = ConsensusRestart.suffix(of: old)
    let data = configuration.node.dataDirectory
    let chain = configuration.journal.directory + suffix
    guard genesis.networkID != old.networkID else {
      throw NodeError(
        .genesis, "that is the genesis of the network that stopped", suggestion: "name that network's with --genesis")
    }
    do {
      let marker = RestartMarker(keyPath: configuration.node.key, networkID: genesis.networkID)
      guard try marker.write() else {
        throw NodeError(
          .key, "the key \(configuration.node.key) may have voted in the restarted network already",
          suggestion: "start the daemon with its data directory; making it anew would make the node forget its votes")
      }
      let files = FileManager.default
      let text = Array(GenesisDocument.render(genesis).utf8)
      let place = configuration.node.genesis
      let present = files.fileExists(atPath: place) ? try GenesisDocument.read(path: place).networkID : nil
      // Several nodes may share the file: the first has put it there.
      if present != genesis.networkID {
        guard present == nil || present == old.networkID else {
          throw NodeError(
            .genesis, "\(place) is of another network than the one that stopped and the one that was made",
            suggestion: "a node that is behind takes the file that another made: --use FILE --adopt")
        }
        if present != nil, !files.fileExists(atPath: place + suffix) {
          try files.moveItem(atPath: place, toPath: place + suffix)
        }
        try DurableFile.write(text, to: place)
      }
      // Where an earlier try moved it away, it was made anew.
      if files.fileExists(atPath: "\(data)/network\(suffix)"), files.fileExists(atPath: "\(data)/network") {
        try files.removeItem(atPath: "\(data)/network")
      }
      for name in ["network", "vote-keys", "slashes.json"] where files.fileExists(atPath: "\(data)/\(name)") {
        try files.moveItem(atPath: "\(data)/\(name)", toPath: "\(data)/\(name)\(suffix)")
      }
      // Last: until then all of this can be done again.
      try files.moveItem(atPath: configuration.journal.directory, toPath: chain)
      try DurableFile.syncDirectory(of: configuration.journal.directory)
      try DurableFile.syncDirectory(of: "\(data)/network")
      return chain
    } catch let error as NodeError {
      throw error
    } catch {
      throw NodeError(
        .dataDirectory, "the data directory \(data) can't be made the new network's",
        suggestion: "move what is left of the old network away by hand, and run this again", cause: error)
    }
  }
}
