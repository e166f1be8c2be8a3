import Primitives
import Wire

// What nodes find each other by: lists, digests of tables, invites, and the bodies of services.

extension Refusal {
  static func lists() throws -> [Refusal] {
    var sampler = try Sampler(seed: 24)
    let ids = (0..<17).map { _ in NodeID(sampler.digest().value) }.sorted()
    func list(_ ids: [NodeID]) -> (inout WireWriter) -> Void {
      { writer in
        writer.uint64(1)
        writer.array(ids.map { NodeHint(id: $0, addresses: []) })
      }
    }
    return [
      Refusal("NodeHint", "five addresses", .tooLong(what: "node addresses")) { writer in
        writer.nodeID(ids[0])
        writer.varint(5)
        for _ in 0..<5 { writer.raw([4, 127, 0, 0, 1, 1, 0]) }
      },
      Refusal("NodeList", "17 nodes", .tooLong(what: "listed nodes"), list(ids)),
      Refusal("NodeList", "a node twice", .notAscending(what: "listed nodes"), list([ids[0], ids[0]])),
      Refusal("NodeList", "nodes in another order", .notAscending(what: "listed nodes"), list([ids[1], ids[0]])),
    ]
  }

  static func digests() throws -> [Refusal] {
    func buckets(_ count: UInt16) -> (inout WireWriter) -> Void {
      { writer in
        writer.uint16(count)
        writer.raw([UInt8](repeating: 0, count: 16 * Int(count)))
      }
    }
    let count = WireError.badValue(what: "bucket count")
    let order = WireError.notAscending(what: "buckets")
    return [
      Refusal("MemberDigest", "no bucket", count, buckets(0)),
      Refusal("MemberDigest", "8 buckets", count, buckets(8)),
      Refusal("MemberDigest", "48 buckets", count, buckets(48)),
      Refusal("MemberDigest", "512 buckets", count, buckets(512)),
      Refusal("MemberDigest", "a bucket too few", .truncated) { writer in
        writer.uint16(16)
        writer.raw([UInt8](repeating: 0, count: 15 * 16))
      },
      Refusal("MemberRequest", "of 17 buckets", count) { $0.raw([17, 0, 0]) },
      Refusal("MemberRequest", "bucket 16 of 16", .badValue(what: "buckets")) { $0.raw([16, 0, 1, 16]) },
      Refusal("MemberRequest", "a bucket twice", order) { $0.raw([16, 0, 2, 3, 3]) },
      Refusal("MemberRequest", "buckets backwards", order) { $0.raw([16, 0, 2, 4, 3]) },
      Refusal("MemberRequest", "257 buckets", .tooLong(what: "buckets")) { writer in
        writer.uint16(256)
        writer.lengthPrefixed([UInt8](repeating: 0, count: 257))
      },
    ]
  }

  static func invites() throws -> [Refusal] {
    func invite(version: UInt8 = 1, addresses: Int, end: [UInt8] = [0]) -> (inout WireWriter) -> Void {
      { writer in
        writer.uint8(version)
        writer.raw([UInt8](repeating: 7, count: 64))
        writer.varint(UInt64(addresses))
        for _ in 0..<addresses { writer.raw([4, 127, 0, 0, 1, 1, 0]) }
        writer.raw(end)
      }
    }
    let version = WireError.unknownTag(what: "invite version")
    return [
      Refusal("Invite", "version 0", version, invite(version: 0, addresses: 1)),
      Refusal("Invite", "version 2", version, invite(version: 2, addresses: 1)),
      Refusal("Invite", "no address", .badValue(what: "invite addresses"), invite(addresses: 0)),
      Refusal("Invite", "five addresses", .tooLong(what: "invite addresses"), invite(addresses: 5)),
      Refusal("Invite", "a flag of 2 for the grant", .badValue(what: "flag"), invite(addresses: 1, end: [2])),
      Refusal(
        "Invite", "a grant of 31 bytes", .truncated, invite(addresses: 1, end: [UInt8](repeating: 1, count: 32))),
    ]
  }

  static func services() throws -> [Refusal] {
    [
      Refusal("GenesisRequest", "an offset over 8 MiB", .badValue(what: "genesis offset")) { $0.varint(8_388_609) },
      Refusal("GenesisAnswer", "a genesis over 8 MiB", .badValue(what: "genesis length")) { writer in
        writer.varint(8_388_609)
        writer.lengthPrefixed([])
      },
      Refusal("GenesisAnswer", "a part over 512 KiB", .tooLong(what: "genesis part")) { writer in
        writer.varint(8_388_608)
        writer.varint(524_289)
      },
      Refusal("GenesisAnswer", "a part longer than the whole", .badValue(what: "genesis part")) {
        $0.raw([1, 2, 0, 0])
      },
      Refusal("DialBackRequest", "port 0", .badValue(what: "port")) { $0.raw([0, 0]) },
      Refusal("DialBackAnswer", "a reason of 101 bytes", .tooLong(what: "dial-back reason")) { writer in
        writer.uint8(0)
        writer.string(String(repeating: "r", count: 101))
      },
      Refusal("ConnectRequest", "tag 0", .unknownTag(what: "connect request")) { $0.raw([0]) },
      Refusal("ConnectRequest", "tag 3", .unknownTag(what: "connect request")) { $0.raw([3]) },
      Refusal("ConnectAnswer", "answer 0", .unknownTag(what: "connect answer")) { $0.raw([0]) },
      Refusal("ConnectAnswer", "answer 5", .unknownTag(what: "connect answer")) { $0.raw([5]) },
    ]
  }
}
