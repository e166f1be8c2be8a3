import Config
import Foundation
import Logging
import Node
import Primitives
import Wire

// The daemon, told to contradict itself: besides each own notarize it sends one for a block that does not exist, in the
// same view and under the same key. It takes the place of `linnet daemon --config FILE` for one node of a test, and is
// no part of what is shipped (`LINNET_EQUIVOCATOR=1` in Package.swift).

/// A second notarize for each own one.
@Sendable func contradicting(_ signers: [Signer]) -> MessageTap {
  { message, _ in
    let vote: Vote
    switch message {
    case .consensus(.vote(let own)): vote = own
    case .consensus(.proposal(_, let own)): vote = own
    default: return [message]
    }
    let subject = vote.subject
    guard subject.kind == .notarize else { return [message] }
    let other = VoteSubject.notarize(
      epoch: subject.epoch, view: subject.view, parentView: subject.parentView,
      blockID: Digest(hashing: subject.blockID.bytes))
    // Ed25519 is deterministic: the signer of a vote is the one that signs it the same. Votes of others, which are
    // relayed, have none.
    guard let signer = signers.first(where: { $0.vote(subject, as: vote.voter).value.signature == vote.signature })
    else { return [message] }
    return [message, .consensus(.vote(signer.vote(other, as: vote.voter).value))]
  }
}

let words = CommandLine.arguments
guard let place = words.firstIndex(of: "--config"), place + 1 < words.count else {
  FileHandle.standardError.write(Data("usage: linnet-equivocator daemon --config node.conf\n".utf8))
  exit(64)
}
let path = words[place + 1]
signal(SIGPIPE, SIG_IGN)
do {
  let load: @Sendable () throws -> NodeConfiguration = {
    try NodeConfiguration.load(path: path, environment: ProcessInfo.processInfo.environment, flags: [:])
  }
  let configuration = try load()
  try await NodeDaemon(
    configuration: configuration, version: "equivocator", logger: DaemonLog.logger(configuration.log),
    tap: contradicting, reload: load
  ).run()
} catch let error as NodeError {
  FileHandle.standardError.write(Data("linnet-equivocator: \(error)\n".utf8))
  exit(error.code.rawValue)
} catch {
  FileHandle.standardError.write(Data("linnet-equivocator: \(error)\n".utf8))
  exit(1)
}
