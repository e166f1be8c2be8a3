import Primitives
import Wire

// Values of what nodes find each other by: lists, digests, invites, and the bodies of services.
extension Sampler {
  mutating func nodeHint() -> NodeHint {
    NodeHint(id: NodeID(digest().value), addresses: list(NodeHint.maximumAddresses) { $0.address() }.suffix(4))
  }
  mutating func nodeList() -> NodeList {
    // Five nodes of one address are far from the longest list.
    guard let list = try? NodeList(expiresUnixSeconds: number(), nodes: list(5) { $0.nodeHint() }) else {
      preconditionFailure("five nodes are a list")
    }
    return list
  }

  mutating func bucketCount() -> Int { MemberDigest.bucketCounts[generator.index(below: 5)] }
  mutating func bucket() -> MemberDigest.Bucket {
    bool() ? .empty : MemberDigest.Bucket(member: nodeID(), sequence: number(), hasLeft: bool())
  }
  mutating func memberDigest() -> MemberDigest {
    guard let digest = MemberDigest(buckets: (0..<bucketCount()).map { _ in bucket() }) else {
      preconditionFailure("a digest of a count that there is")
    }
    return digest
  }
  mutating func memberRequest() -> MemberRequest {
    let count = bucketCount()
    let numbers = (0..<count).filter { _ in generator.index(below: 4) == 0 }.map { UInt8($0) }
    guard let request = MemberRequest(count: count, buckets: numbers) else {
      preconditionFailure("buckets that there are")
    }
    return request
  }

  mutating func invite() -> Invite {
    let addresses = [address()] + list(3) { $0.address() }.suffix(3)
    let grant = bool() ? InviteGrant(seed: digest().value) : nil
    guard let invite = Invite(networkID: digest(), node: nodeID(), addresses: addresses, grant: grant) else {
      preconditionFailure("one to four addresses")
    }
    return invite
  }

  mutating func genesisRequest() -> GenesisRequest {
    GenesisRequest(offset: number(most: GenesisAnswer.maximumTotalBytes))
  }
  mutating func genesisAnswer() -> GenesisAnswer {
    let part = bytes(generator.index(below: 300))
    let rest = number(most: GenesisAnswer.maximumTotalBytes - UInt64(part.count))
    return GenesisAnswer(total: UInt64(part.count) + rest, bytes: part)
  }
  mutating func dialBackRequest() -> DialBackRequest { DialBackRequest(port: 1 + UInt16(number(most: 65_534))) }
  mutating func dialBackAnswer() -> DialBackAnswer {
    DialBackAnswer(isReached: bool(), reason: text(DialBackAnswer.maximumReasonBytes))
  }
  mutating func connectRequest() -> ConnectRequest { bool() ? .tell(nodeID()) : .dial(nodeID()) }
  mutating func connectAnswer() -> ConnectAnswer {
    ConnectAnswer.allCases[generator.index(below: ConnectAnswer.allCases.count)]
  }
}
