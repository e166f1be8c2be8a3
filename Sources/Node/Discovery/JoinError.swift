import Wire

/// Why a host could not join a network. Each code has its own exit code, listed in docs/operating.md.
package struct JoinError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure; the raw value is the exit code of `linnet join`.
  package enum Code: Int32, Sendable, CaseIterable {
    /// The text is no invite, or was damaged on its way.
    case inviteDamaged = 21
    /// The invite was made by a newer version.
    case inviteVersion = 22
    /// The node of the invite answers at none of its addresses.
    case nobodyAnswers = 23
    /// What the node sent is not the genesis that the invite names.
    case genesisDiffers = 24
  }

  /// What kind of failure.
  package let code: Code
  /// What was tried and what went wrong.
  package let message: String
  /// What to do next.
  package let suggestion: String

  init(_ code: Code, _ message: String, suggestion: String) {
    self.code = code
    self.message = message
    self.suggestion = suggestion
  }

  /// Message and suggestion.
  package var description: String { "\(message)\ntry: \(suggestion)" }
}

extension JoinError {
  /// Why a text is no invite.
  package init(_ error: InviteError) {
    let again = "copy the whole line that `linnet invite` printed; it begins with \(Invite.textPrefix)1"
    switch error {
    case .notAnInvite: self.init(.inviteDamaged, "that is no invite", suggestion: again)
    case .damaged:
      self.init(
        .inviteDamaged, "the invite is damaged: its checksum does not fit, so characters are missing or changed",
        suggestion: again)
    case .unknownVersion(let version):
      self.init(
        .inviteVersion, "the invite is of version \(version), and this linnet knows version \(Invite.version)",
        suggestion: "install the version of linnet that the network runs")
    case .malformed(let error):
      self.init(
        .inviteDamaged, "the invite can't be understood (\(error))",
        suggestion: "have another made by `linnet invite`")
    }
  }
}
