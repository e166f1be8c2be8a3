extension NodeConfiguration {
  /// The text of node.conf.example, from the key table: every key with its text and its default, commented out.
  package static let example: String = {
    var text = """
      # node.conf: the configuration of a Linnet node (TOML).
      #
      # Every key is optional; what stands behind a single "#" is the default, or an example where the default depends
      # on the host. Uncomment and change what you need, then run `linnet config check`.
      # A flag goes before the environment, that before this file. The variable of a key is LINNET_SECTION_KEY, for
      # example LINNET_LOG_LEVEL; lists are written there with commas.
      # Relative paths are taken from the directory of this file.
      # "Live" keys change on SIGHUP to the daemon (docs/operating.md says how to send it), the others on restart.

      """
    for section in ConfigurationKey.sections {
      text += "\n[\(section)]\n"
      for key in ConfigurationKey.all where key.section == section {
        text += "\n"
        for line in key.documentation.split(separator: "\n") { text += "## \(line)\n" }
        text += "## Accepts \(key.kind.expectation).\(key.isReloadable ? " Live." : "")\n"
        switch key.fallback {
        case .fixed(let value): text += "#\(key.name) = \(value.rendered)\n"
        case .derived(let example, let words, _):
          text += "## Default: \(words).\n#\(key.name) = \(example.rendered)\n"
        }
      }
    }
    return text
  }()
}
