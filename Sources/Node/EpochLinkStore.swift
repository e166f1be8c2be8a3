import Foundation
import Journal
import Primitives
import Synchronization
import Wire

/// The chain of epochs from the genesis on, for joiners: the ends of the epochs that changed the validators, in a file
/// that only grows, and the end of the last epoch, which the next replaces.
package final class EpochLinkStore: Sendable {
  /// An answer has at most this many bytes of links, unless a single one has more.
  static let answerBytes = 1_024 * 1_024

  private struct State {
    /// The changing links, by ascending epoch: 32 bytes each.
    var changes: [(epoch: UInt64, extent: RecordFile.Extent)] = []
    var end = 0
    /// The validators after all of them.
    var set: ValidatorSet
    var last: EpochLink?
    var isBroken = false
  }

  private let file: RecordFile
  private let lastPath: String
  private let verifier: Verifier
  private let state: Mutex<State>

  /// Opens the links in `directory`, which exists, and checks that each follows from those before it; their signatures
  /// were checked when they were added. What does not fit is cut off.
  ///
  /// - Parameter verifier: checks what is added, and the last link anew: one behind a change that was lost does not fit.
  /// - Returns: the store, and how many bytes were cut off.
  package static func open(
    directory: String, genesis: Genesis, verifier: Verifier, disk: any Disk = SystemDisk()
  ) throws -> (store: EpochLinkStore, cutBytes: Int) {
    let trusting = Verifier(networkID: genesis.networkID) { _, _, _ in true }
    var state = State(set: genesis.validatorSet)
    let (file, end, cut) = try RecordFile.open(path: directory + "/epochs", disk: disk) { extent, bytes in
      guard let link = try? EpochLink(decoding: bytes), link.header.epoch >= state.set.epoch,
        let set = try? trusting.verify([link], from: state.set)
      else { return false }
      state.changes.append((link.header.epoch, extent))
      state.set = set
      return true
    }
    state.end = end
    let lastPath = directory + "/epoch-last"
    if let bytes = try? disk.readFile(lastPath), let link = try? EpochLink(decoding: bytes),
      link.header.epoch >= state.set.epoch, (try? verifier.verify([link], from: state.set)) != nil
    {
      state.last = link
    } else if let extent = state.changes.last?.extent {
      state.last = try EpochLink(decoding: file.read(extent))
    }
    return (EpochLinkStore(file, lastPath, verifier, state), cut)
  }

  private init(_ file: RecordFile, _ lastPath: String, _ verifier: Verifier, _ state: State) {
    self.file = file
    self.lastPath = lastPath
    self.verifier = verifier
    self.state = Mutex(state)
  }

  /// The end of the last epoch; nil in the first.
  package var last: EpochLink? { state.withLock { $0.last } }

  /// How many links changed the validators.
  package var changeCount: Int { state.withLock { $0.changes.count } }

  /// Keeps a link; it is durable when this returns. One of an epoch that is known already, or that does not follow, is
  /// left alone: an answer of a peer may hold both. After a failed write nothing is kept any more. To be called from
  /// one queue.
  package func add(_ link: EpochLink) throws {
    let known = state.withLock { $0 }
    guard !known.isBroken, link.header.epoch > known.last?.header.epoch ?? 0 || known.last == nil,
      link.header.epoch >= known.set.epoch
    else { return }
    guard let set = try? verifier.verify([link], from: known.set) else { return }
    do {
      if set.validators != known.set.validators {
        let bytes = link.encoded
        let extent = try file.append(bytes, at: known.end)
        state.withLock { state in
          state.changes.append((link.header.epoch, extent))
          state.end = extent.offset + extent.length
          state.set = set
        }
      }
      try DurableFile.write(link.encoded, to: lastPath)
    } catch {
      state.withLock { $0.isBroken = true }
      throw error
    }
    state.withLock { $0.last = link }
  }

  /// The links of the epochs from one on that changed the validators, and the last one, as far as one answer holds
  /// them; nil when there is none.
  package func answer(from epoch: UInt64) -> ConsensusMessage? {
    let known = state.withLock { $0 }
    guard let last = known.last, last.header.epoch >= epoch else { return nil }
    var links: [EpochLink] = []
    var bytes = 0
    let start = known.changes.firstIndex { $0.epoch >= epoch } ?? known.changes.count
    for change in known.changes[start...] {
      guard links.count < ConsensusMessage.maximumEpochLinks,
        links.isEmpty || bytes + change.extent.length <= EpochLinkStore.answerBytes,
        let link = try? EpochLink(decoding: file.read(change.extent))
      else { return links.isEmpty ? nil : .epochs(links) }
      links.append(link)
      bytes += change.extent.length
    }
    if links.last?.header.epoch != last.header.epoch, links.count < ConsensusMessage.maximumEpochLinks {
      links.append(last)
    }
    return .epochs(links)
  }
}
