import Consensus
import Primitives
import Wire

extension Network {
  /// An empty block as a leader builds it, on another one or at the beginning of the chain.
  func block(view: UInt64, on parent: Block? = nil) -> Block {
    let below = parent?.header
    var header = BlockHeader(
      epoch: 0, view: view, height: (below?.height ?? 0) + 1, parentID: parent?.id ?? networkID,
      parentView: below?.view ?? 0, timestampMilliseconds: (below?.timestampMilliseconds ?? 1_000) + 1,
      transactionsRoot: Block.transactionsRoot([]), stateRoot: .zero, nextValidators: .zero, reveal: .zero)
    header.stateRoot = nextState(below?.stateRoot ?? networkID, header)
    return Block(header: header, transactions: [])!
  }

  /// The notarize of a block's own view.
  func notarize(_ block: Block) -> VoteSubject {
    .notarize(epoch: 0, view: block.header.view, parentView: block.header.parentView, blockID: block.id)
  }
}
