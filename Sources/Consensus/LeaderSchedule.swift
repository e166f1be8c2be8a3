import Primitives
import Wire

/// Rule 10: who leads a view. A fixed shuffle of the epoch's validators, walked in a circle.
public struct LeaderSchedule: Sendable {
  /// The voter numbers in the order of their turns.
  private let order: [UInt16]
  private let epoch: UInt64

  /// The schedule of an epoch. The shuffle depends on the network and the epoch, never on a signature.
  public init(validators: ValidatorSet, networkID: Digest) {
    var writer = WireWriter()
    writer.raw(Array("linnet/1/leaders".utf8) + [0])
    writer.digest(networkID)
    writer.uint64(validators.epoch)
    var generator = SeededGenerator(seed: Digest(hashing: writer.bytes).value.prefix)
    var order = (0..<validators.count).map { UInt16($0) }
    generator.shuffle(&order)
    self.order = order
    epoch = validators.epoch
  }

  /// The voter number of a view's leader: place (epoch + view) mod n of the shuffle.
  public func leader(of view: UInt64) -> UInt16 {
    let count = UInt64(order.count)
    return order[Int((epoch % count + view % count) % count)]
  }
}
