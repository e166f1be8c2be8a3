import Primitives

extension Array where Element == UInt8 {
  mutating func append<Value: FixedWidthInteger>(littleEndian value: Value) {
    for index in 0..<(Value.bitWidth / 8) { append(UInt8(truncatingIfNeeded: value >> (index * 8))) }
  }
}

/// Reads bytes from the front; every reading past the end throws.
struct ByteReader {
  private let bytes: [UInt8]
  private var offset = 0
  private let failure: BlobError

  init(_ bytes: [UInt8], failure: BlobError) {
    self.bytes = bytes
    self.failure = failure
  }

  mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(BlobError) -> Value {
    var value: Value = 0
    for (index, byte) in try take(Value.bitWidth / 8).enumerated() { value |= Value(byte) << (index * 8) }
    return value
  }

  mutating func digest() throws(BlobError) -> Digest {
    guard let digest = Digest(bytes: try take(32)) else { throw failure }
    return digest
  }

  mutating func take(_ count: Int) throws(BlobError) -> ArraySlice<UInt8> {
    guard count >= 0, count <= bytes.count - offset else { throw failure }
    defer { offset += count }
    return bytes[offset..<(offset + count)]
  }

  func end() throws(BlobError) {
    guard offset == bytes.count else { throw failure }
  }
}
