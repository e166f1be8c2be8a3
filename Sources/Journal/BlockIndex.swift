/// Where each block is and which one bears an id: about 50 bytes a block.
struct BlockIndex: Sendable {
  private(set) var firstHeight: UInt64 = 0
  private var offsets: [Int] = []
  private var ids: [UInt8] = []
  /// Open addressing over positions + 1; 0 is free. At most half full.
  private var slots = [UInt32](repeating: 0, count: 64)
  /// Block ids can be ground for equal prefixes; a seed of this process keeps that from making long probes.
  private let seed = UInt64.random(in: .min ... .max) | 1

  var count: Int { offsets.count }

  mutating func append(height: UInt64, id: [UInt8], offset: Int) {
    if offsets.isEmpty { firstHeight = height }
    offsets.append(offset)
    ids += id
    if offsets.count * 2 > slots.count { grow() }
    insert(offsets.count - 1)
  }

  /// Forgets all blocks from `position` on.
  mutating func truncate(to position: Int) {
    offsets.removeSubrange(position...)
    ids.removeSubrange((position * 32)...)
    rebuild()
  }

  func position(ofHeight height: UInt64) -> Int? {
    guard height >= firstHeight, height - firstHeight < UInt64(offsets.count) else { return nil }
    return Int(height - firstHeight)
  }

  func offset(at position: Int) -> Int { offsets[position] }

  func height(ofID id: [UInt8]) -> UInt64? {
    var slot = firstSlot(id, at: 0)
    while slots[slot] != 0 {
      let position = Int(slots[slot]) - 1
      if ids[(position * 32)..<(position * 32 + 32)].elementsEqual(id) { return firstHeight + UInt64(position) }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private mutating func insert(_ position: Int) {
    var slot = firstSlot(ids, at: position * 32)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(position + 1)
  }

  private mutating func grow() {
    slots = [UInt32](repeating: 0, count: slots.count * 2)
    for position in 0..<(offsets.count - 1) { insert(position) }
  }

  private mutating func rebuild() {
    slots = [UInt32](repeating: 0, count: slots.count)
    for position in offsets.indices { insert(position) }
  }

  private func firstSlot(_ bytes: [UInt8], at offset: Int) -> Int {
    var mixed = bytes.readUInt64(at: offset) ^ seed
    mixed = (mixed ^ (mixed >> 32)) &* (seed &* 0x9E37_79B9_7F4A_7C15 | 1)
    mixed ^= mixed >> 29
    return Int(mixed & UInt64(slots.count - 1))
  }
}
