import Primitives
import Wire

// Transactions: offers, jobs, leases, and what validators say of themselves and of each other.

extension Refusal {
  static func ledger() throws -> [Refusal] {
    var sampler = try Sampler(seed: 12)
    let resources = sampler.resources().encoded
    func offer(
      gpus: UInt64 = 0, labels: [String] = [], drivers: [String] = [], isolation: UInt8 = 1
    ) -> (inout WireWriter) -> Void {
      { writer in
        writer.raw(resources)
        writer.varint(gpus)
        for _ in 0..<gpus { writer.raw([0, 0, 0]) }
        writer.array(labels.map { Label(key: $0, value: "") })
        writer.array(drivers) { $0.string($1) }
        writer.uint8(isolation)
        writer.raw([1, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8))
      }
    }
    let many = (0..<17).map { String(UnicodeScalar(UInt8(97 + $0))) }
    let lease = Digest(hashing: [1])
    let result = LeaseResult(
      lease: lease, outputRoot: .zero, exit: .lost, usage: sampler.usage(), message: "", salt: .zero)
    let other = LeaseResult(
      lease: .zero, outputRoot: .zero, exit: .lost, usage: sampler.usage(), message: "", salt: .zero)
    return [
      Refusal("OfferTerms", "17 GPUs", .tooLong(what: "GPUs"), offer(gpus: 17)),
      Refusal("OfferTerms", "17 labels", .tooLong(what: "labels"), offer(labels: many)),
      Refusal("OfferTerms", "labels out of order", .notAscending(what: "labels"), offer(labels: ["b", "a"])),
      Refusal("OfferTerms", "equal labels", .notAscending(what: "labels"), offer(labels: ["a", "a"])),
      Refusal("OfferTerms", "nine drivers", .tooLong(what: "drivers"), offer(drivers: Array(many.prefix(9)))),
      Refusal(
        "OfferTerms", "a driver behind its extension", .notAscending(what: "drivers"), offer(drivers: ["ab", "a"])),
      Refusal("OfferTerms", "isolation 0", .unknownTag(what: "isolation"), offer(isolation: 0)),
      Refusal("OfferTerms", "isolation 4", .unknownTag(what: "isolation"), offer(isolation: 4)),
      Refusal("TransactionAction", "tag 0", .unknownTag(what: "transaction action")) { $0.uint8(0) },
      Refusal("TransactionAction", "tag 17", .unknownTag(what: "transaction action")) { $0.uint8(17) },
      Refusal("TransactionAction", "a reason of 201 bytes", .tooLong(what: "reason")) { writer in
        writer.uint8(8)
        writer.digest(lease)
        writer.string(String(repeating: "r", count: 201))
      },
      Refusal("TransactionAction", "liveness 2", .unknownTag(what: "liveness")) { writer in
        writer.uint8(11)
        writer.digest(.zero)
        writer.uint8(2)
      },
      Refusal("TransactionAction", "33 commitments", .tooLong(what: "commitments")) { writer in
        writer.uint8(9)
        writer.varint(33)
      },
      Refusal("TransactionAction", "two commitments for one lease", .notAscending(what: "commitments")) { writer in
        writer.uint8(9)
        writer.array([
          LeaseCommitment(lease: lease, commitment: .zero), LeaseCommitment(lease: lease, commitment: lease),
        ])
      },
      Refusal("TransactionAction", "33 results", .tooLong(what: "results")) { writer in
        writer.uint8(10)
        writer.varint(33)
      },
      Refusal("TransactionAction", "results out of order", .notAscending(what: "results")) { writer in
        writer.uint8(10)
        writer.array([result, other])
      },
      Refusal("LeaseResult", "a message of 201 bytes", .tooLong(what: "result message")) { writer in
        writer.digest(.zero)
        writer.digest(.zero)
        writer.raw([3, 0, 0, 0])
        writer.string(String(repeating: "m", count: 201))
        writer.digest(.zero)
      },
      Refusal("ExitStatus", "tag 0", .unknownTag(what: "exit status")) { $0.raw([0, 0]) },
      Refusal("ExitStatus", "tag 8", .unknownTag(what: "exit status")) { $0.raw([8]) },
      Refusal("ExitStatus", "a code behind a wall limit", .trailingBytes) { $0.raw([3, 0]) },
    ]
  }

  /// What validators say of themselves and of each other.
  static func validators() throws -> [Refusal] {
    let sampler = try Sampler(seed: 17)
    let key = sampler.keys[0].id
    let bad = WireError.badValue(what: "evidence")
    func vote(_ subject: VoteSubject, as voter: UInt16 = 3) -> Vote { sampler.signer(0).vote(subject, as: voter).value }
    func notarize(_ block: UInt8, epoch: UInt64 = 1, view: UInt64 = 9, parent: UInt64 = 8) -> VoteSubject {
      .notarize(epoch: epoch, view: view, parentView: parent, blockID: Digest(hashing: [block]))
    }
    func finalize(_ block: UInt8, view: UInt64 = 9) -> VoteSubject {
      .finalize(epoch: 1, view: view, parentView: 8, blockID: Digest(hashing: [block]))
    }
    let nullify = VoteSubject.nullify(epoch: 1, view: 9)
    func evidence(_ why: String, _ votes: [Vote]) -> Refusal {
      Refusal("Evidence", why, bad) { writer in
        writer.nodeID(key)
        for vote in votes { writer.value(vote) }
      }
    }
    func ordered(_ one: VoteSubject, _ other: VoteSubject) -> [Vote] {
      [min(one, other), max(one, other)].map { vote($0) }
    }
    let contradiction = ordered(notarize(1), notarize(2))
    func beacon(_ length: UInt64) -> (inout WireWriter) -> Void {
      { writer in
        writer.uint8(15)
        writer.digest(.zero)
        writer.varint(length)
      }
    }
    return [
      evidence("the higher vote first", contradiction.reversed()),
      evidence("one vote twice", [vote(notarize(1)), vote(notarize(1))]),
      evidence("a nullify twice", [vote(nullify), vote(nullify)]),
      evidence("one block notarized and finalized", ordered(notarize(1), finalize(1))),
      evidence("one block notarized, another finalized", ordered(notarize(1), finalize(2))),
      evidence("a view notarized and nullified", ordered(notarize(1), nullify)),
      evidence("a finalize before a nullify", [vote(finalize(1)), vote(nullify)]),
      evidence("two blocks of two views", ordered(notarize(1), notarize(2, view: 10))),
      evidence("a nullify and a finalize of another view", ordered(nullify, finalize(1, view: 10))),
      evidence("two blocks of two epochs", ordered(notarize(1), notarize(2, epoch: 2))),
      evidence(
        "the votes of two voters",
        [vote(contradiction[0].subject, as: 3), vote(contradiction[1].subject, as: 4)]),
      Refusal("Evidence", "one vote only", .truncated) { writer in
        writer.nodeID(key)
        writer.value(contradiction[0])
      },
      Refusal("VoteKey", "a proof of 63 bytes", .truncated) { $0.raw([UInt8](repeating: 0, count: 95)) },
      Refusal("Validator", "without a key", .truncated) { $0.nodeID(key) },
      Refusal("TransactionAction", "a hash chain of no elements", .badValue(what: "beacon length"), beacon(0)),
      Refusal("TransactionAction", "a hash chain of 2^20 + 1", .badValue(what: "beacon length"), beacon(1 << 20 + 1)),
      Refusal("TransactionAction", "an unstake with an amount", .trailingBytes) { $0.raw([13, 5]) },
    ]
  }

  static func jobs() throws -> [Refusal] {
    func job(
      command: [String] = ["/bin/true"], environment: [(String, String)] = [], inputs: [String] = []
    ) -> (inout WireWriter) -> Void {
      { writer in
        writer.array(command) { $0.string($1) }
        writer.array(environment) {
          $0.string($1.0)
          $0.string($1.1)
        }
        writer.array(inputs) {
          $0.string($1)
          $0.digest(.zero)
          $0.bool(false)
        }
      }
    }
    let long = String(repeating: "x", count: 256)
    let name = WireError.badValue(what: "variable name")
    let input = WireError.badValue(what: "input name")
    return [
      Refusal("JobSpecification", "no command", .badValue(what: "command"), job(command: [])),
      Refusal("JobSpecification", "a program without a name", .badValue(what: "command"), job(command: ["", "x"])),
      Refusal(
        "JobSpecification", "1,025 words", .tooLong(what: "command"),
        job(command: [String](repeating: "x", count: 1_025))),
      Refusal(
        "JobSpecification", "a word of 65,537 bytes", .tooLong(what: "argument"),
        job(command: [String](repeating: String(repeating: "x", count: 65_537), count: 1))),
      Refusal("JobSpecification", "a variable without a name", name, job(environment: [("", "x")])),
      Refusal("JobSpecification", "a variable named a=b", name, job(environment: [("a=b", "x")])),
      Refusal(
        "JobSpecification", "a variable's name of 256 bytes", .tooLong(what: "variable name"),
        job(environment: [(long, "")])),
      Refusal(
        "JobSpecification", "a variable twice", .notAscending(what: "environment"),
        job(environment: [("A", "1"), ("A", "2")])),
      Refusal("JobSpecification", "257 variables", .tooLong(what: "environment")) { $0.raw([1, 1, 0x61, 0x81, 2]) },
      Refusal("JobSpecification", "257 inputs", .tooLong(what: "inputs")) { $0.raw([1, 1, 0x61, 0, 0x81, 2]) },
      Refusal("JobSpecification", "inputs out of order", .notAscending(what: "inputs"), job(inputs: ["b", "a"])),
      Refusal("JobSpecification", "an input without a name", input, job(inputs: [""])),
      Refusal("JobSpecification", "an input named .", input, job(inputs: ["."])),
      Refusal("JobSpecification", "an input named ..", input, job(inputs: [".."])),
      Refusal("JobSpecification", "an input named a/b", input, job(inputs: ["a/b"])),
      Refusal(
        "JobSpecification", "an input's name of 256 bytes", .tooLong(what: "input name"), job(inputs: [long])),
    ]
  }
}
