import Primitives

/// `key=value` for matching; keys strictly ascending in every list.
public struct Label: Hashable, Sendable, WireCodable {
  /// The most labels in a list.
  public static let maximumCount = 16
  /// The longest key and the longest value, in bytes.
  public static let maximumBytes = 63

  /// The key.
  public var key: String
  /// The value.
  public var value: String

  /// A label.
  public init(key: String, value: String) {
    self.key = key
    self.value = value
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.string(key)
    writer.string(value)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    key = try reader.string(limit: Label.maximumBytes, what: "label key")
    value = try reader.string(limit: Label.maximumBytes, what: "label value")
  }

  static func list(from reader: inout WireReader) throws(WireError) -> [Label] {
    // By bytes: the order of `String` depends on Unicode tables, the order of bytes on nothing.
    try reader.ascending(limit: maximumCount, what: "labels", by: { ByteOrder(Array($0.key.utf8)) }) {
      (reader) throws(WireError) in try Label(from: &reader)
    }
  }

  /// Labels in canonical order: ascending by the bytes of their keys, the last of equal keys kept.
  public static func canonical(_ labels: [Label]) -> [Label] {
    var table = Table<ByteOrder, Label>()
    for label in labels { table[ByteOrder(Array(label.key.utf8))] = label }
    return table.values
  }
}

/// Bytes compared in lexicographic order.
public struct ByteOrder: Hashable, Comparable, Sendable {
  /// The bytes.
  public let bytes: [UInt8]

  /// Wraps bytes.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The order that tables and messages rely on.
  public static func < (left: ByteOrder, right: ByteOrder) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}

/// One GPU that is offered.
public struct GPUOffer: Hashable, Sendable, WireCodable {
  /// The most GPUs of an offer.
  public static let maximumCount = 16

  /// `nvidia`, `amd`, `intel`.
  public var vendor: String
  /// The model, as its driver names it.
  public var model: String
  /// Memory in bytes.
  public var memoryBytes: UInt64

  /// A GPU.
  public init(vendor: String, model: String, memoryBytes: UInt64) {
    self.vendor = vendor
    self.model = model
    self.memoryBytes = memoryBytes
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.string(vendor)
    writer.string(model)
    writer.varint(memoryBytes)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    vendor = try reader.string(limit: Label.maximumBytes, what: "GPU vendor")
    model = try reader.string(limit: Label.maximumBytes, what: "GPU model")
    memoryBytes = try reader.varint()
  }
}

/// Resources: what an offer has and a job needs.
public struct Resources: Hashable, Sendable, WireCodable {
  /// Thousandths of a CPU.
  public var cpuMilli: UInt32
  /// Memory in bytes.
  public var memoryBytes: UInt64
  /// Disk in bytes.
  public var diskBytes: UInt64

  /// Resources.
  public init(cpuMilli: UInt32, memoryBytes: UInt64, diskBytes: UInt64) {
    self.cpuMilli = cpuMilli
    self.memoryBytes = memoryBytes
    self.diskBytes = diskBytes
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.uint32(cpuMilli)
    writer.varint(memoryBytes)
    writer.varint(diskBytes)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    cpuMilli = try reader.uint32()
    memoryBytes = try reader.varint()
    diskBytes = try reader.varint()
  }
}

/// What one second of a resource costs, in microcredits.
public struct Prices: Hashable, Sendable, WireCodable {
  /// For 1,000 cpuMilli.
  public var cpuSecondMicrocredits: UInt64
  /// For 2^30 bytes of memory.
  public var memoryGiBSecondMicrocredits: UInt64
  /// For one GPU.
  public var gpuSecondMicrocredits: UInt64

  /// Prices.
  public init(cpuSecondMicrocredits: UInt64, memoryGiBSecondMicrocredits: UInt64, gpuSecondMicrocredits: UInt64) {
    self.cpuSecondMicrocredits = cpuSecondMicrocredits
    self.memoryGiBSecondMicrocredits = memoryGiBSecondMicrocredits
    self.gpuSecondMicrocredits = gpuSecondMicrocredits
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(cpuSecondMicrocredits)
    writer.varint(memoryGiBSecondMicrocredits)
    writer.varint(gpuSecondMicrocredits)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    cpuSecondMicrocredits = try reader.varint()
    memoryGiBSecondMicrocredits = try reader.varint()
    gpuSecondMicrocredits = try reader.varint()
  }
}

/// How well a provider can confine a job, weakest first.
public enum Isolation: UInt8, Hashable, Comparable, CaseIterable, Sendable {
  /// rlimits and a supervising kill.
  case rlimit = 1
  /// Control groups, version 1.
  case cgroup1 = 2
  /// Control groups, version 2.
  case cgroup2 = 3

  /// The order that tables and messages rely on.
  public static func < (left: Isolation, right: Isolation) -> Bool { left.rawValue < right.rawValue }
}

/// What a provider offers.
public struct OfferTerms: Hashable, Sendable, WireCodable {
  /// The most drivers of an offer.
  public static let maximumDrivers = 8

  /// What all leases together may take.
  public var resources: Resources
  /// The GPUs.
  public var gpus: [GPUOffer]
  /// For matching.
  public var labels: [Label]
  /// Names of job drivers, strictly ascending.
  public var drivers: [String]
  /// How jobs are confined.
  public var isolation: Isolation
  /// The most leases held at once.
  public var maximumJobs: UInt16
  /// What a second costs.
  public var prices: Prices
  /// Ledger time in milliseconds since 1970 from which on the offer is void.
  public var validUntilMilliseconds: UInt64

  /// An offer.
  public init(
    resources: Resources, gpus: [GPUOffer], labels: [Label], drivers: [String], isolation: Isolation,
    maximumJobs: UInt16, prices: Prices, validUntilMilliseconds: UInt64
  ) {
    self.resources = resources
    self.gpus = gpus
    self.labels = labels
    self.drivers = drivers
    self.isolation = isolation
    self.maximumJobs = maximumJobs
    self.prices = prices
    self.validUntilMilliseconds = validUntilMilliseconds
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.value(resources)
    writer.array(gpus)
    writer.array(labels)
    writer.array(drivers) { $0.string($1) }
    writer.uint8(isolation.rawValue)
    writer.uint16(maximumJobs)
    writer.value(prices)
    writer.uint64(validUntilMilliseconds)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    resources = try reader.value()
    gpus = try reader.array(limit: GPUOffer.maximumCount, what: "GPUs")
    labels = try Label.list(from: &reader)
    drivers = try reader.ascending(
      limit: OfferTerms.maximumDrivers, what: "drivers", by: { ByteOrder(Array($0.utf8)) }
    ) { (reader) throws(WireError) in try reader.string(limit: Label.maximumBytes, what: "driver") }
    guard let isolation = Isolation(rawValue: try reader.uint8()) else { throw .unknownTag(what: "isolation") }
    self.isolation = isolation
    maximumJobs = try reader.uint16()
    prices = try reader.value()
    validUntilMilliseconds = try reader.uint64()
  }
}
