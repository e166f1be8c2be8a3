/// A sequence that is produced only as fast as it is consumed, whatever its origin: how bodies that may not fit in
/// memory pass between the control API and the node. It can be iterated once.
package struct PullStream<Element: Sendable>: AsyncSequence, Sendable {
  /// Asks the origin for one element after the other.
  package struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate var pull: () async throws -> Element?

    /// The next element, nil at the end.
    package mutating func next() async throws -> Element? { try await pull() }
  }

  private let start: @Sendable () -> AsyncIterator

  /// A stream that calls `next` for each element until it returns nil. Calls never overlap.
  package init(_ next: @escaping @Sendable () async throws -> Element?) {
    start = { AsyncIterator(pull: next) }
  }

  /// A stream of what `sequence` yields.
  package init<Source: AsyncSequence & Sendable>(_ sequence: Source) where Source.Element == Element {
    start = {
      var iterator = sequence.makeAsyncIterator()
      return AsyncIterator { try await iterator.next() }
    }
  }

  /// A stream of elements that are already here.
  package init(elements: [Element]) {
    start = {
      var iterator = elements.makeIterator()
      return AsyncIterator { iterator.next() }
    }
  }

  /// Begins the one iteration.
  package func makeAsyncIterator() -> AsyncIterator { start() }
}

/// A body in pieces of any size; pieces may be empty.
package typealias ByteStream = PullStream<[UInt8]>
