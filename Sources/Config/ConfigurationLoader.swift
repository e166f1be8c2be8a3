import Foundation

extension NodeConfiguration {
  /// Most bytes of node.conf.
  package static let maximumFileBytes = 1 << 20

  /// The configuration from defaults, then the file at `path` (nil: no file), then variables `LINNET_SECTION_KEY` of
  /// `environment`, then `flags` by dotted name (`network.listen`); the later wins. In environment and flags a list is
  /// written with commas. Relative paths in the file are taken from the file's directory, others from the current one.
  ///
  /// Variables `LINNET_...` that name no section are others' (`LINNET_SOCKET`, `LINNET_TESTNET`) and are ignored.
  /// Throws everything that is wrong at once.
  package static func load(
    path: String?, environment: [String: String], flags: [String: String]
  ) throws(ConfigurationError) -> NodeConfiguration {
    try load(path: path, flags: flags, context: .ofHost(environment: environment))
  }

  static func load(
    path: String?, flags: [String: String], context: ConfigurationContext
  ) throws(ConfigurationError) -> NodeConfiguration {
    var loader = ConfigurationLoader(context: context)
    if let path { loader.readFile(path) }
    loader.readEnvironment()
    loader.readFlags(flags)
    return try loader.finish()
  }
}

private struct ConfigurationLoader {
  let context: ConfigurationContext
  var chosen: [String: (value: ConfigurationValue, source: ConfigurationSource)] = [:]
  var problems: [ConfigurationProblem] = []

  init(context: ConfigurationContext) {
    self.context = context
  }

  // MARK: Sources

  mutating func readFile(_ path: String) {
    let absolute = path.hasPrefix("/") ? path : context.currentDirectory + "/" + path
    let directory = (absolute as NSString).deletingLastPathComponent
    func refuse(_ code: ConfigurationProblem.Code, _ line: Int?, _ message: String) {
      problems.append(
        ConfigurationProblem(
          code: code, section: nil, key: nil, source: .file(path: path, line: line), message: message))
    }
    let text: String
    switch Self.contents(of: absolute) {
    case .success(let found): text = found
    case .failure(let refusal): return refuse(refusal.code, nil, refusal.message)
    }
    let document: TOMLDocument
    do {
      document = try TOMLDocument(text)
    } catch {
      return refuse(.syntax, error.line, error.message)
    }
    // A name that is wrong as a whole is reported once, not for every key below it.
    var refused: Set<[String]> = []
    for item in document.items.flatMap(Self.spread) {
      let source = ConfigurationSource.file(path: path, line: item.line)
      let named = Array(item.path.prefix(2))
      guard !refused.contains([named[0]]), !refused.contains(named) else { continue }
      let section = item.path[0]
      guard ConfigurationKey.sections.contains(section) else {
        refused.insert([section])
        problems.append(Self.unknownSection(item, source))
        continue
      }
      guard item.path.count > 1 else {
        if case .table = item.value { continue }
        refused.insert([section])
        problems.append(
          ConfigurationProblem(
            code: .wrongType, section: section, key: nil, source: source,
            message: "expected a section, found \(item.value.described)"))
        continue
      }
      let name = item.path[1]
      var isTable = item.path.count > 2
      if case .table = item.value { isTable = true }
      if isTable { refused.insert(named) }
      guard let key = ConfigurationKey.all.first(where: { $0.section == section && $0.name == name }) else {
        problems.append(Self.unknownKey(section: section, name: name, source: source))
        continue
      }
      set(key, isTable ? .table([]) : item.value, source, directory: directory)
    }
  }

  /// A section written as an inline table is the keys in it.
  private static func spread(_ item: TOMLDocument.Item) -> [TOMLDocument.Item] {
    guard item.path.count == 1, case .table(let inner) = item.value else { return [item] }
    let outer = TOMLDocument.Item(path: item.path, line: item.line, value: .table([]))
    return [outer] + inner.map { TOMLDocument.Item(path: item.path + $0.path, line: $0.line, value: $0.value) }
  }

  private static func unknownSection(
    _ item: TOMLDocument.Item, _ source: ConfigurationSource
  ) -> ConfigurationProblem {
    let name = item.path[0]
    var isKey = item.path.count == 1
    if case .table = item.value { isKey = false }
    guard isKey else {
      return ConfigurationProblem(
        code: .unknownSection, section: name, key: nil, source: source,
        message: "unknown section" + Spelling.hint(for: name, among: ConfigurationKey.sections))
    }
    let owners = ConfigurationKey.all.filter { $0.name == name }.map { "[\($0.section)]" }
    let hint =
      owners.isEmpty
      ? "; every key stands below the [section] that it belongs to"
      : "; it belongs below " + owners.joined(separator: " or ")
    return ConfigurationProblem(
      code: .unknownKey, section: nil, key: name, source: source, message: "a key outside of any section" + hint)
  }

  mutating func readEnvironment() {
    for (name, text) in context.environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix("LINNET_") {
      let source = ConfigurationSource.environment(name: name)
      if let key = ConfigurationKey.all.first(where: { $0.environmentName == name }) {
        set(key, .bare(text), source, directory: context.currentDirectory)
      } else if let section = ConfigurationKey.sections.first(where: {
        name.hasPrefix("LINNET_\($0.uppercased())_")
      }) {
        let names = ConfigurationKey.all.map(\.environmentName)
        problems.append(
          ConfigurationProblem(
            code: .unknownKey, section: section, key: nil, source: source,
            message: "no key of this section is set by that variable" + Spelling.hint(for: name, among: names)))
      }
    }
  }

  mutating func readFlags(_ flags: [String: String]) {
    for (name, text) in flags.sorted(by: { $0.key < $1.key }) {
      let source = ConfigurationSource.flag(name: name)
      if let key = ConfigurationKey.all.first(where: { $0.path == name }) {
        set(key, .bare(text), source, directory: context.currentDirectory)
      } else {
        problems.append(
          ConfigurationProblem(
            code: .unknownKey, section: nil, key: name, source: source,
            message: "unknown key" + Spelling.hint(for: name, among: ConfigurationKey.all.map(\.path))))
      }
    }
  }

  // MARK: One value

  private mutating func set(
    _ key: ConfigurationKey, _ found: FoundValue, _ source: ConfigurationSource, directory: String
  ) {
    do {
      chosen[key.path] = (try key.kind.check(found, relativeTo: directory), source)
    } catch {
      problems.append(
        ConfigurationProblem(
          code: error.code, section: key.section, key: key.name, source: source, message: error.message))
    }
  }

  private static func unknownKey(
    section: String, name: String, source: ConfigurationSource
  ) -> ConfigurationProblem {
    let elsewhere = ConfigurationKey.all.filter { $0.name == name }.map { "[\($0.section)]" }
    let hint =
      elsewhere.isEmpty
      ? Spelling.hint(for: name, among: ConfigurationKey.names(in: section))
      : "; it belongs below " + elsewhere.joined(separator: " or ")
    return ConfigurationProblem(
      code: .unknownKey, section: section, key: name, source: source, message: "unknown key" + hint)
  }

  private static func contents(of path: String) -> Swift.Result<String, ValueRefusal> {
    func refusal(_ reason: String) -> Swift.Result<String, ValueRefusal> {
      .failure(ValueRefusal(code: .fileUnreadable, message: reason))
    }
    var status = stat()
    guard stat(path, &status) == 0 else {
      let reason = String(cString: strerror(errno))
      return refusal("cannot read the configuration: \(reason). Check the path, or run `linnet init`")
    }
    guard status.st_mode & S_IFMT == S_IFREG else { return refusal("cannot read the configuration: it is no file") }
    guard status.st_size <= NodeConfiguration.maximumFileBytes else {
      return refusal("the file has more than \(NodeConfiguration.maximumFileBytes) bytes: it is no node.conf")
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      return refusal("cannot read the configuration: check the permissions of the file")
    }
    guard let text = String(data: data, encoding: .utf8) else { return refusal("the file is not UTF-8 text") }
    return .success(text)
  }

  // MARK: The whole

  mutating func finish() throws(ConfigurationError) -> NodeConfiguration {
    var configuration = NodeConfiguration()
    for key in ConfigurationKey.all {
      let value: ConfigurationValue
      let source: ConfigurationSource
      if let found = chosen[key.path] {
        (value, source) = found
      } else {
        source = .fallback
        switch key.fallback {
        case .fixed(let fixed): value = fixed
        case .derived(_, _, let text):
          // Derived from environment and other keys, so it is checked like any value.
          set(key, .bare(text(context, configuration)), .fallback, directory: context.currentDirectory)
          guard let derived = chosen[key.path] else { continue }
          value = derived.value
        }
      }
      let isPlaced = key.assign(&configuration, value)
      precondition(isPlaced, "the kind of \(key.path) fits its place")
      configuration.entries.append(
        ConfigurationEntry(key: key.path, value: value.rendered, source: source, isReloadable: key.isReloadable))
    }
    findConflicts(configuration)
    guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    return configuration
  }

  private mutating func findConflicts(_ configuration: NodeConfiguration) {
    let executor = configuration.executor
    // The sum is one past the last id, and the largest 32-bit id means "unchanged" to setreuid and chown.
    if executor.firstJobUserID.addingReportingOverflow(executor.jobUserCount).overflow {
      conflict(
        "executor.job_user_count", configuration,
        "user ids \(executor.firstJobUserID) and \(executor.jobUserCount - 1) more pass the largest, 4294967294: "
          + "lower first_job_user_id or job_user_count")
    }
    if configuration.offer.maximumJobs > UInt64(executor.jobUserCount) {
      conflict(
        "offer.maximum_jobs", configuration,
        "\(configuration.offer.maximumJobs) jobs at a time need as many user ids, and [executor] job_user_count is "
          + "\(executor.jobUserCount): raise that or lower this")
    }
  }

  private mutating func conflict(_ path: String, _ configuration: NodeConfiguration, _ message: String) {
    guard let key = ConfigurationKey.all.first(where: { $0.path == path }) else { return }
    let source = configuration.entries.first { $0.key == path }?.source ?? .fallback
    problems.append(
      ConfigurationProblem(
        code: .conflict, section: key.section, key: key.name, source: source, message: message))
  }
}
