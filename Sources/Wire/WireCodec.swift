import Primitives

/// A value with one canonical encoding: decode of encode is identity, and so is encode of decode, because
/// any other bytes are refused. The format is described in docs/wire-format.md.
public protocol WireCodable: Sendable {
  /// Appends the canonical bytes.
  func encode(into writer: inout WireWriter)
  /// Reads a value; throws for any byte that the encoder would not have written.
  init(from reader: inout WireReader) throws(WireError)
}

extension WireCodable {
  /// The canonical bytes.
  public var encoded: [UInt8] {
    var writer = WireWriter()
    encode(into: &writer)
    return writer.bytes
  }

  /// The value that `bytes` and nothing but `bytes` encode.
  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = WireReader(bytes)
    try self.init(from: &reader)
    try reader.finish()
  }
}

/// Appends canonical bytes.
public struct WireWriter: Sendable {
  /// What was written so far.
  public private(set) var bytes: [UInt8] = []

  /// An empty writer.
  public init() {}

  /// One byte.
  public mutating func uint8(_ value: UInt8) { bytes.append(value) }

  /// Two bytes, least significant first.
  public mutating func uint16(_ value: UInt16) { fixed(UInt64(value), 2) }

  /// Four bytes, least significant first.
  public mutating func uint32(_ value: UInt32) { fixed(UInt64(value), 4) }

  /// Eight bytes, least significant first.
  public mutating func uint64(_ value: UInt64) { fixed(value, 8) }

  private mutating func fixed(_ value: UInt64, _ count: Int) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
  }

  /// An unsigned LEB128 integer in its shortest form.
  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// 0 or 1.
  public mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }

  /// Bytes whose number the reader knows.
  public mutating func raw(_ value: [UInt8]) { bytes.append(contentsOf: value) }

  /// A varint length and the bytes.
  public mutating func lengthPrefixed(_ value: [UInt8]) {
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  /// A varint length and the UTF-8 of the text.
  public mutating func string(_ value: String) { lengthPrefixed(Array(value.utf8)) }

  /// 32 bytes.
  public mutating func digest(_ value: Digest) { raw(value.bytes) }

  /// 32 bytes.
  public mutating func nodeID(_ value: NodeID) { raw(value.bytes) }

  /// 64 bytes.
  public mutating func signature(_ value: Signature) { raw(value.bytes) }

  /// A value's own encoding.
  public mutating func value(_ value: some WireCodable) { value.encode(into: &self) }

  /// 0, or 1 and the value.
  public mutating func optional<Value>(_ value: Value?, _ write: (inout WireWriter, Value) -> Void) {
    bool(value != nil)
    if let value { write(&self, value) }
  }

  /// A varint count and the elements.
  public mutating func array<Element>(_ elements: [Element], _ write: (inout WireWriter, Element) -> Void) {
    varint(UInt64(elements.count))
    for element in elements { write(&self, element) }
  }

  /// A varint count and the elements.
  public mutating func array(_ elements: [some WireCodable]) {
    array(elements) { $1.encode(into: &$0) }
  }
}

/// Reads canonical bytes and refuses all others.
public struct WireReader: Sendable {
  private let bytes: [UInt8]
  private var position = 0

  /// A reader at the first of `bytes`.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The number of bytes not read yet.
  public var remaining: Int { bytes.count - position }

  /// Throws unless every byte was read.
  public func finish() throws(WireError) {
    if position != bytes.count { throw .trailingBytes }
  }

  /// One byte.
  public mutating func uint8() throws(WireError) -> UInt8 {
    guard position < bytes.count else { throw .truncated }
    defer { position += 1 }
    return bytes[position]
  }

  /// Two bytes, least significant first.
  public mutating func uint16() throws(WireError) -> UInt16 { UInt16(truncatingIfNeeded: try fixed(2)) }

  /// Four bytes, least significant first.
  public mutating func uint32() throws(WireError) -> UInt32 { UInt32(truncatingIfNeeded: try fixed(4)) }

  /// Eight bytes, least significant first.
  public mutating func uint64() throws(WireError) -> UInt64 { try fixed(8) }

  private mutating func fixed(_ count: Int) throws(WireError) -> UInt64 {
    guard remaining >= count else { throw .truncated }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(bytes[position + index]) << UInt64(8 * index) }
    position += count
    return value
  }

  /// An unsigned LEB128 integer; refused unless it is in its shortest form and fits 64 bits.
  public mutating func varint() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try uint8()
      let part = UInt64(byte & 0x7f)
      if shift == 63 && part > 1 || shift > 63 { throw .varintNotMinimal }
      value |= part << shift
      if byte & 0x80 == 0 {
        if byte == 0 && shift > 0 { throw .varintNotMinimal }
        return value
      }
      shift += 7
    }
  }

  /// 0 or 1.
  public mutating func bool() throws(WireError) -> Bool {
    switch try uint8() {
    case 0: return false
    case 1: return true
    default: throw .badValue(what: "flag")
    }
  }

  /// `count` bytes.
  public mutating func raw(_ count: Int) throws(WireError) -> [UInt8] {
    guard count >= 0, remaining >= count else { throw .truncated }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }

  /// A varint length up to `limit` and that many bytes.
  public mutating func lengthPrefixed(limit: Int, what: String) throws(WireError) -> [UInt8] {
    let length = try varint()
    guard length <= UInt64(limit) else { throw .tooLong(what: what) }
    return try raw(Int(length))
  }

  /// A varint length up to `limit` bytes and that much valid UTF-8 without NUL.
  public mutating func string(limit: Int, what: String) throws(WireError) -> String {
    let raw = try lengthPrefixed(limit: limit, what: what)
    guard !raw.contains(0), let text = String(validating: raw, as: UTF8.self) else { throw .badValue(what: what) }
    return text
  }

  /// 32 bytes.
  public mutating func digest() throws(WireError) -> Digest {
    guard let digest = Digest(bytes: try raw(32)) else { throw .truncated }
    return digest
  }

  /// 32 bytes.
  public mutating func nodeID() throws(WireError) -> NodeID {
    guard let id = NodeID(bytes: try raw(32)) else { throw .truncated }
    return id
  }

  /// 64 bytes.
  public mutating func signature() throws(WireError) -> Signature {
    guard let signature = Signature(bytes: try raw(64)) else { throw .truncated }
    return signature
  }

  /// A value's own encoding.
  public mutating func value<Value: WireCodable>(_ type: Value.Type = Value.self) throws(WireError) -> Value {
    try Value(from: &self)
  }

  /// 0, or 1 and the value.
  public mutating func optional<Value>(
    _ read: (inout WireReader) throws(WireError) -> Value
  ) throws(WireError) -> Value? {
    try bool() ? try read(&self) : nil
  }

  /// A varint count up to `limit` and that many elements.
  public mutating func array<Element>(
    limit: Int, what: String, _ read: (inout WireReader) throws(WireError) -> Element
  ) throws(WireError) -> [Element] {
    let count = try varint()
    guard count <= UInt64(limit) else { throw .tooLong(what: what) }
    // Every element takes at least one byte, so a count beyond the rest is a lie not worth allocating for.
    guard count <= UInt64(remaining) else { throw .truncated }
    var elements: [Element] = []
    elements.reserveCapacity(Int(count))
    for _ in 0..<count { elements.append(try read(&self)) }
    return elements
  }

  /// A varint count up to `limit` and that many elements.
  public mutating func array<Element: WireCodable>(limit: Int, what: String) throws(WireError) -> [Element] {
    try array(limit: limit, what: what) { (reader) throws(WireError) in try Element(from: &reader) }
  }

  /// An array that must be strictly ascending by `key`.
  public mutating func ascending<Element, Key: Comparable>(
    limit: Int, what: String, by key: (Element) -> Key, _ read: (inout WireReader) throws(WireError) -> Element
  ) throws(WireError) -> [Element] {
    let elements = try array(limit: limit, what: what, read)
    for (left, right) in zip(elements, elements.dropFirst()) where key(left) >= key(right) {
      throw .notAscending(what: what)
    }
    return elements
  }
}
