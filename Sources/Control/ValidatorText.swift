/// Where a validator stands, for people.
package enum ValidatorText {
  /// In one line.
  package static func render(_ validator: ValidatorAnswer) -> String {
    var text = "\(validator.state.rawValue), \(Quantity.credits(validator.stakeMicrocredits)) credits at stake"
    if let since = validator.sinceEpoch { text += ", since epoch \(since)" }
    if let changes = validator.changesInEpoch { text += ", changes in epoch \(changes)" }
    if let returns = validator.stakeReturnsAfterEpoch { text += ", stake returns after epoch \(returns)" }
    return text
  }

  /// The node itself, field by field.
  package static func render(_ own: OwnValidatorAnswer, style: TextStyle) -> String {
    var fields = TextFields()
    fields.add("node", own.id)
    fields.add("epoch", "\(own.epoch)")
    fields.add("state", own.state?.rawValue ?? "no validator")
    fields.add("since", own.sinceEpoch.map { "epoch \($0)" })
    fields.add("changes in", own.changesInEpoch.map { "epoch \($0)" })
    fields.add("stake returns", own.stakeReturnsAfterEpoch.map { "after epoch \($0)" })
    fields.add("at stake", "\(Quantity.credits(own.stakeMicrocredits)) credits")
    fields.add("least stake", "\(Quantity.credits(own.minimumStakeMicrocredits)) credits")
    fields.add("vote key", own.key)
    fields.add("next vote key", own.nextKey)
    fields.add("keys held", own.heldKeys.joined(separator: ", "))
    fields.add("voting", VotingText.render(own.voting))
    return fields.rendered(style: style)
  }
}

/// Whether a node votes, for people.
package enum VotingText {
  /// In one line.
  package static func render(_ voting: VotingAnswer) -> String {
    var text =
      switch voting.state {
      case .voting: "yes"
      case .abstaining: "abstains"
      case .following: "no validator of this epoch, follows"
      }
    if let reason = voting.reason { text += ": \(reason)" }
    if let until = voting.until { text += "; until the first epoch that begins after \(PeerText.clock(until))" }
    return text
  }
}
