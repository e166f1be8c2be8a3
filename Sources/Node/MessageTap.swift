import Primitives
import Wire

/// What a node that is faulty on purpose says to a peer over a link in place of what its core says. `linnet` has none;
/// the daemon that contradicts itself in the acceptance tests is this daemon with one.
package typealias MessageTap = @Sendable (_ message: LinkMessage, _ peer: NodeID) -> [LinkMessage]
