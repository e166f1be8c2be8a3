import Primitives

/// What is remembered of a closed stream.
struct YamuxTombstone: Sendable {
  /// Bytes that the peer may have sent before it learned of the end.
  var window: UInt32
  /// The peer said itself that nothing follows.
  var isEnded: Bool
}

/// The streams closed last. Each side's apart: by opening and closing its own, neither makes the other's forgotten.
struct YamuxTombstones: Sendable {
  private var own: BoundedMap<UInt32, YamuxTombstone>
  private var ofPeer: BoundedMap<UInt32, YamuxTombstone>

  init(capacity: Int) {
    own = BoundedMap(capacity: capacity)
    ofPeer = BoundedMap(capacity: capacity)
  }

  var count: Int { own.count + ofPeer.count }

  subscript(id: UInt32, isOwn isOwn: Bool) -> YamuxTombstone? { isOwn ? own[id] : ofPeer[id] }

  mutating func insert(_ stone: YamuxTombstone, _ id: UInt32, isOwn: Bool) {
    if isOwn { own.insert(stone, forKey: id) } else { ofPeer.insert(stone, forKey: id) }
  }
}
