import Primitives
import Testing

@testable import Config

@Suite("Refusing a configuration")
struct RefusalTests {
  @Test("everything wrong is reported at once, by section, key and line, top to bottom")
  func allAtOnce() throws {
    let found = try problems(
      """
      # a comment
      [offer]
      cpu_mili = 4000
      memory_bytes = "lots"   # "[network]"
      labels = ["a=b",
        "c"]
      maximum_jobs = "many"

      [network]
      listen = ["0.0.0.0:7447", "host:1"]
      profile = "wam"
      gpus = "all"
      [netwrk]
      x = 1
      """,
      environment: ["LINNET_LOG_LEVEL": "loud", "LINNET_OFFER_CPUMILLI": "1"],
      flags: ["log.frmat": "json", "offer.enabled": "yes"])
    #expect(found.count == 12)
    #expect(found[0] == #"3 [offer] cpu_mili unknownKey: unknown key; did you mean "cpu_milli"?"#)
    #expect(found[1].hasPrefix("4 [offer] memory_bytes invalidValue: expected a size of at least 0 bytes"))
    #expect(found[1].hasSuffix(#"found the string "lots""#))
    #expect(found[2].hasPrefix(#"5 [offer] labels invalidValue: expected "key=value""#))
    #expect(
      found[3]
        == #"7 [offer] maximum_jobs wrongType: expected an integer from 1 to 4096, found the string "many""#)
    #expect(found[4].hasPrefix(#"10 [network] listen invalidValue: expected an "ip:port", found "host:1""#))
    #expect(found[5].hasPrefix("11 [network] profile invalidValue"))
    #expect(found[5].hasSuffix(#"did you mean "wan"?"#))
    #expect(found[6] == "12 [network] gpus unknownKey: unknown key; it belongs below [offer]")
    #expect(found[7] == #"13 [netwrk]  unknownSection: unknown section; did you mean "network"?"#)
    #expect(found[8].hasPrefix(#"LINNET_LOG_LEVEL [log] level invalidValue: expected one of "trace""#))
    #expect(found[9].hasSuffix(#"did you mean "LINNET_OFFER_CPU_MILLI"?"#))
    #expect(found[10] == #"--log.frmat [] log.frmat unknownKey: unknown key; did you mean "log.format"?"#)
    #expect(found[11].hasSuffix(#"expected true or false, found "yes""#))
  }

  @Test("the text of a problem names its place")
  func descriptions() {
    let problem = ConfigurationProblem(
      code: .unknownKey, section: "offer", key: "x", source: .file(path: "/etc/n", line: 3), message: "unknown key")
    #expect(problem.description == "/etc/n:3: [offer] x: unknown key")
    let section = ConfigurationProblem(
      code: .unknownSection, section: "ofer", key: nil, source: .file(path: "/etc/n", line: nil), message: "unknown")
    #expect(section.description == "/etc/n: [ofer]: unknown")
    #expect(ConfigurationError(problems: [problem, section]).description.split(separator: "\n").count == 2)
  }

  @Test(
    "syntax errors name their line",
    arguments: [
      ("[node\nname = 1", 1), ("[node]\nname = \"a\"\nname = \"b\"", 3), ("[node]\nname =\n", 2),
      ("[node]\nname = \"a\"\0\nkey = 3", 2), ("[,", 1), ("[offer]\nlabels = [}", 2),
    ])
  func syntax(text: String, line: Int) throws {
    let found = try problems(text)
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("\(line) []  syntax: ") == true, "\(found)")
  }

  @Test(
    "wrong types, each named with what was found",
    arguments: [
      ("[offer]\nenabled = 1", "2 [offer] enabled wrongType: expected true or false, found the integer 1"),
      ("[offer]\nenabled = \"true\"", "found the string \"true\""),
      ("[offer]\ncpu_milli = 1.5", "found a floating-point number"),
      (
        "[offer]\ncpu_milli = -1",
        "cpu_milli invalidValue: expected an integer from 0 to 1000000000, found the integer -1"
      ),
      ("[offer]\nlabels = \"a=b\"", "labels wrongType"),
      ("[offer]\nlabels = [1]", "found the integer 1 in the array"),
      ("[offer]\nlabels = [\"a=b\", \"a=b\"]", "\"a=b\" is there twice"),
      ("[network]\nlisten = []", "found an array of 0"),
      ("[network]\nlisten = {a = 1}", "found a table"),
      ("[network]\nadvertise = [\"0.0.0.0:1\"]", "no peer can reach"),
      ("[node]\nname = 2020-01-01", "found a date or time"),
      ("[node]\nname = \"\"", "expected a string of 1 to 63 bytes"),
      ("[node]\ndata_directory = \"~/x\"", "is not expanded"),
      ("[executor]\ngrace_seconds = \"500ms\"", "expected whole seconds"),
      ("[blobs]\nmaximum_bytes = \"99999999999PiB\"", "expected a size"),
      ("name = \"x\"", "1 [] name unknownKey: a key outside of any section; it belongs below [node]"),
      ("[network.listen]\na = 1\nb = 2", "1 [network] listen wrongType: expected an array"),
      ("[offer.x.y]\na = 1\nb = 2", "1 [offer] x unknownKey"),
      ("[offr]\na = 1\n[offr.x]\nb = 2", "1 [offr]  unknownSection"),
      ("[node]\nname = \"a\\u0000b\"", "2 [node] name invalidValue"),
      ("node = 3", "1 [node]  wrongType: expected a section, found the integer 3"),
      ("[[offer]]\nenabled = true", "1 [offer]  wrongType: expected a section, found an array of tables"),
      ("offer.enabled = 3", "1 [offer] enabled wrongType"),
      ("offer = { cpu_milli = true }", "1 [offer] cpu_milli wrongType"),
      ("[executor]\nfirst_job_user_id = 4294967000", "conflict: user ids 4294967000"),
      ("[executor]\nfirst_job_user_id = 4294966784", "conflict: user ids 4294966784"),
      ("[executor]\nfirst_job_user_id = 0", "expected an integer from 1000"),
      ("[offer]\nmaximum_jobs = 600", "2 [offer] maximum_jobs conflict"),
    ] as [(String, String)])
  func wrongValues(text: String, expected: String) throws {
    let found = try problems(text)
    #expect(found.count == 1)
    #expect(found.first?.contains(expected) == true, "\(found)")
  }

  @Test("the user ids of jobs may end right below the id that means unchanged")
  func lastUserID() throws {
    #expect(try load("[executor]\nfirst_job_user_id = 4294966783").executor.firstJobUserID == 4_294_966_783)
  }

  @Test("a socket path over 107 bytes is refused with that reason, whoever chose it")
  func socketPath() throws {
    let fits = "/" + String(repeating: "a", count: 106)
    #expect(try load(flags: ["control.socket": fits]).control.socket == fits)
    let found = try problems(flags: ["control.socket": fits + "a"])
    #expect(found.first?.contains("has 108 bytes; the address of a Unix socket holds at most 107") == true)
    let fallback = try problems(environment: ["XDG_RUNTIME_DIR": fits])
    #expect(fallback.first?.hasPrefix("default [control] socket") == true)
  }

  @Test("a file that cannot be read: missing, a directory, not text")
  func unreadable() throws {
    for (path, reason) in [("/nonexistent/node.conf", "No such file"), ("/tmp", "it is no file")] {
      #expect {
        try NodeConfiguration.load(path: path, environment: [:], flags: [:])
      } throws: { error in
        guard let error = error as? ConfigurationError else { return false }
        return error.problems.count == 1 && error.problems[0].code == .fileUnreadable
          && error.description.contains(reason)
      }
    }
  }
}

@Suite("Addresses as text")
struct AddressTests {
  @Test(
    "what is an address",
    arguments: [
      ("1.2.3.4:5", "1.2.3.4", 5), ("[::1]:65535", "::1", 65535), ("a-b.example.:1", "a-b.example.", 1),
      ("my_host:7447", "my_host", 7447),
    ])
  func accepted(text: String, host: String, port: Int) throws {
    let address = try SocketAddressText(text)
    #expect(address.host == host)
    #expect(Int(address.port) == port)
    #expect(address.description == text)
  }

  @Test(
    "what is none",
    arguments: [
      "", ":", ":1", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:+1", "1.2.3.4:1 ", "1.2.3:1",
      "256.1.1.1:1", "::1:1", "[::1]", "[::1", "[1.2.3.4]:1", "[fe80::1%eth0]:1", "-a:1", "a..b:1", "a b:1", "ä:1",
    ])
  func refused(text: String) {
    #expect(throws: AddressTextError.self) { try SocketAddressText(text) }
  }

  @Test("an id before the at sign", arguments: ["@a:1", "x@a:1", "LN1QQQQQQQQ@a:1", "ln1qqqqqqqqqq@a", "ln1@a:1"])
  func refusedIdentity(text: String) {
    #expect(throws: AddressTextError.self) { try BootstrapAddress(text) }
  }

  @Test("an id with one character mistyped is refused, never taken as no id")
  func mistypedIdentity() {
    let id = NodeID(Bytes32()).description
    let last = id.hasSuffix("q") ? "p" : "q"
    #expect(throws: AddressTextError.self) { try BootstrapAddress(id.dropLast() + last + "@a:1") }
  }

  @Test("the unspecified address in its spellings")
  func unspecified() throws {
    #expect(try SocketAddressText("[::]:1").isUnspecified)
    #expect(try SocketAddressText("0.0.0.0:1").isUnspecified)
    #expect(try !SocketAddressText("[::1]:1").isUnspecified)
  }
}
