import Primitives

/// The validators of an epoch, in the order that votes and leaders count by.
public struct ValidatorSet: Hashable, Sendable {
  /// The most validators of an epoch.
  public static let maximumCount = 100

  /// The epoch, from 0.
  public let epoch: UInt64
  /// The members; their positions are the voter numbers.
  public let members: [NodeID]

  /// A set; nil unless it has 1 to 100 distinct members.
  public init?(epoch: UInt64, members: [NodeID]) {
    guard (1...ValidatorSet.maximumCount).contains(members.count), OrderedSet(members).count == members.count else {
      return nil
    }
    self.epoch = epoch
    self.members = members
  }

  /// The number of members, n.
  public var count: Int { members.count }
  /// The number of faulty members that is tolerated, f = (n-1)/3 rounded down.
  public var faults: Int { (members.count - 1) / 3 }
  /// The votes that make a certificate, q = n-f.
  public var quorum: Int { members.count - faults }

  /// The voter number of a member.
  public func index(of id: NodeID) -> UInt16? { members.firstIndex(of: id).map { UInt16($0) } }

  /// The member with a voter number.
  public func member(_ index: UInt16) -> NodeID? { Int(index) < members.count ? members[Int(index)] : nil }
}
