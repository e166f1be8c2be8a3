import Primitives
import Synchronization

/// Which link leads to whom, for every thread; and which frames of earlier links to the same node are still being dealt
/// with, so that their credit goes to no later link. Frames of one node and channel are taken to be dealt with in their
/// order; where they are not, as questions to services, credit after a new link may come late.
final class LinkRoutes: Sendable {
  // Who is forgotten gets credit on its next link for frames of an earlier one: no more than those.
  private static let maximumNodes = 4_096

  private struct State {
    var ports: [NodeID: LinkPort] = [:]
    /// Of links that are gone: frames of each channel that were handed on and not dealt with. Some, for each entry.
    var old = BoundedMap<NodeID, [Int]>(capacity: LinkRoutes.maximumNodes)

    mutating func retire(_ id: NodeID) {
      guard let port = ports.removeValue(forKey: id) else { return }
      var left = port.retire()
      for (index, count) in (old.removeValue(forKey: id) ?? []).enumerated() { left[index] += count }
      if left.contains(where: { $0 > 0 }) { old.insert(left, forKey: id) }
    }
  }
  private let state = Mutex(State())

  subscript(id: NodeID) -> LinkPort? { state.withLock { $0.ports[id] } }

  var all: [LinkPort] { state.withLock { Array($0.ports.values) } }

  /// A link to a node is up, or gone.
  func set(_ id: NodeID, _ port: LinkPort?) {
    state.withLock { state in
      state.retire(id)
      state.ports[id] = port
    }
  }

  /// A frame of a node was dealt with.
  func consumed(_ byteCount: Int, _ channel: LinkChannel, from id: NodeID) {
    state.withLock { state in
      if var left = state.old[id], left[channel.index] > 0 {
        left[channel.index] -= 1
        if left.contains(where: { $0 > 0 }) {
          state.old.insert(left, forKey: id)
        } else {
          state.old.removeValue(forKey: id)
        }
      } else {
        // Within the lock, or the link could go meanwhile, and the frame count as one of an earlier link.
        state.ports[id]?.consumed(byteCount, on: channel)
      }
    }
  }
}
