/// What a new testnet is like.
package struct TestnetOptions: Sendable, Equatable {
  /// How many nodes, 1 to `TestnetLayout.maximumNodes`.
  package var count: Int
  /// How many of them, the first ones, are validators from the start; nil for all.
  package var validators: Int?
  /// The blocks of an epoch; nil for the default of the chain's parameters.
  package var epochBlocks: UInt64?
  /// What the hosts are like when each node is one of its own; nil for nodes on the loopback.
  package var lab: LabOptions?

  /// Every field.
  package init(count: Int = 4, validators: Int? = nil, epochBlocks: UInt64? = nil, lab: LabOptions? = nil) {
    self.count = count
    self.validators = validators
    self.epochBlocks = epochBlocks
    self.lab = lab
  }
}
