import CLinux
import Foundation
import Logging
import Primitives
import Synchronization
import Transport
import Wire

/// Asks names of `[network] dns` for lists of nodes, at the start and while links are few, and dials who is on them.
final class DNSLists: Sendable {
  /// The pause between two looks doubles up to the longest: at the start of a host the resolver may not be up yet. Nobody
  /// tells when a name says something else, and resolvers keep what it said for minutes: to ask oftener would be in vain.
  private static let firstPauseSeconds = 5.0
  private static let longestPauseSeconds = 300.0
  /// A question that has no answer waits for the resolver, which gives up by itself, unless told otherwise after twice five
  /// seconds for each of three servers (resolv.conf(5)). Nobody waits longer than twice this.
  private static let answerSeconds = 60.0

  /// What a name said last.
  struct Outcome: Sendable, Equatable {
    var name: String
    /// How many nodes it named that may be believed.
    var nodes: Int
    /// What was not believed, or that there was no answer; nil when all is well.
    var problem: String?
  }

  private let names: [String]
  private let ownID: NodeID
  private let genesis: Genesis
  private let verifier: Verifier
  private let links: LateBound<LinkEndpoint>
  private let logger: Logger
  private let last = Mutex<[Outcome]>([])

  init(
    names: [String], ownID: NodeID, genesis: Genesis, verifier: Verifier, links: LateBound<LinkEndpoint>, logger: Logger
  ) {
    self.names = names
    self.ownID = ownID
    self.genesis = genesis
    self.verifier = verifier
    self.links = links
    self.logger = logger
  }

  /// What each name said last, in the order of the configuration; empty before the first answers.
  var outcomes: [Outcome] { last.withLock { $0 } }

  /// Runs until the task is cancelled.
  func run() async {
    var pause = DNSLists.firstPauseSeconds
    while !Task.isCancelled {
      if (links.value?.links.count { $0.direction == .outbound } ?? 0) < BookDialer.enoughLinks {
        var outcomes: [Outcome] = []
        for name in names { outcomes.append(await ask(name)) }
        last.withLock { [outcomes] in $0 = outcomes }
      }
      try? await Task.sleep(for: .seconds(pause * Double.random(in: 0.9...1.1)))
      pause = min(2 * pause, DNSLists.longestPauseSeconds)
    }
  }

  private func ask(_ name: String) async -> Outcome {
    let (hints, problem) = nodes(in: await DNSLists.texts(of: name))
    if let problem { logger.info("the list of nodes at \(name): \(problem)") }
    for hint in hints where hint.id != ownID {
      for address in hint.addresses where address.isUsable { links.value?.dial(address, expecting: hint.id) }
    }
    return Outcome(name: name, nodes: hints.count, problem: problem)
  }

  /// The nodes of all lists that may be believed, and what is wrong with the others.
  func nodes(in texts: [String]?) -> ([NodeHint], problem: String?) {
    guard let texts else { return ([], "no answer") }
    let meant = texts.filter(NodeListText.isMeant)
    guard !meant.isEmpty else { return ([], "there is none") }
    var hints: [NodeHint] = []
    var problem: String?
    let now = UInt64(max(0, Date().timeIntervalSince1970))
    for text in meant {
      do throws(NodeListRefusal) {
        hints += try NodeListText.read(text, genesis: genesis, verifier: verifier, unixSeconds: now)
      } catch {
        problem = error.description
      }
    }
    return (hints, problem)
  }

  /// Asking blocks, so it has a thread of its own; and the system's lookup can't be ended.
  private static func texts(of name: String) async -> [String]? {
    let (answers, answer) = AsyncStream<[String]?>.makeStream(bufferingPolicy: .bufferingOldest(1))
    Thread.detachNewThread {
      var bytes = [UInt8](repeating: 0, count: TXTRecords.maximumAnswerBytes)
      let count = linnet_dns_txt(name, &bytes, bytes.count)
      answer.yield(count < 0 ? nil : TXTRecords.texts(in: Array(bytes.prefix(count))))
      answer.finish()
    }
    let timer = Task {
      try await Task.sleep(for: .seconds(answerSeconds))
      answer.yield(nil)
    }
    defer { timer.cancel() }
    for await texts in answers { return texts }
    return nil
  }
}
