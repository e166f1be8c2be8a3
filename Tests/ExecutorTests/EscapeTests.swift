import Foundation
import Testing

@testable import Executor

@Suite("What a hostile job tries is denied", .enabled(if: canRunJobs, whyNot))
struct EscapeTests {
  /// Python that calls the kernel by number and prints the name of each error.
  static let prelude = """
    import ctypes, errno, os, socket
    libc = ctypes.CDLL(None, use_errno=True)
    def call(name, number, *args):
      ctypes.set_errno(0)
      r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
      print(name, "ok" if r >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    def attempt(name, f):
      try: f(); print(name, "ok", flush=True)
      except OSError as e: print(name, errno.errorcode.get(e.errno, e.errno), flush=True)

    """

  @Test func kernelInterfacesAreClosed() async throws {
    let bench = try Workbench()
    let outcome = try await bench.python(
      Self.prelude + """
        call("unshare-user", 272, 0x10000000)
        call("clone-user", 56, 0x10000000 | 17, 0, 0, 0, 0)
        call("clone3", 435, 0, 0)
        call("setns", 308, 0, 0)
        call("mount", 165, b"none", b"/tmp", b"tmpfs", 0, 0)
        call("umount", 166, b"/proc", 2)
        call("pivot_root", 155, b"/tmp", b"/tmp")
        call("fsopen", 430, b"tmpfs", 0)
        call("open_tree", 428, -100, b"/", 1)
        call("ptrace", 101, 16, 1, 0, 0)
        call("keyctl", 250, 0, -3, 1)
        call("bpf", 321, 0, 0, 0)
        call("perf", 298, 0, 0, -1, -1, 0)
        call("io_uring", 425, 8, 0)
        call("userfaultfd", 323, 1)
        call("personality", 135, 0x0040000)
        call("kexec", 246, 0, 0, 0, 0)
        call("settime", 227, 0, b"\\0" * 16)
        call("newer", 470, 0, 0, 0)
        """)
    let lines = outcome.stdout.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    try #require(lines.allSatisfy { $0.count == 2 })
    let answers = Dictionary(uniqueKeysWithValues: lines.map { ($0[0], $0[1]) })
    #expect(answers.count == 19, "\(outcome.stdout) \(outcome.stderr)")
    for (name, answer) in answers {
      #expect(answer == (name == "clone3" || name == "newer" ? "ENOSYS" : "EPERM"), "\(name): \(answer)")
    }
  }

  @Test func socketsOfOtherFamilies() async throws {
    let bench = try Workbench()
    let outcome = try await bench.python(
      Self.prelude + """
        for family, kind, protocol, name in (
            (40, 1, 0, "vsock"), (17, 3, 0, "packet"), (38, 5, 0, "alg"), (2, 3, 1, "raw"), (10, 3, 58, "raw6"),
            (16, 3, 9, "audit"), (16, 3, 15, "uevent"), (21, 5, 0, "rds"), (30, 1, 0, "tipc"), (9, 5, 0, "x25")):
          attempt(name, lambda: socket.socket(family, kind, protocol))
        for family, kind, protocol, name in ((1, 1, 0, "unix"), (2, 1, 0, "tcp"), (10, 2, 0, "udp6"), (16, 3, 0, "route")):
          attempt(name, lambda: socket.socket(family, kind, protocol))
        """)
    let lines = outcome.stdout.split(separator: "\n")
    #expect(lines.count == 14, "\(outcome.stderr)")
    #expect(lines.prefix(10).allSatisfy { $0.hasSuffix(" EPERM") }, "\(outcome.stdout)")
    #expect(lines.suffix(4).allSatisfy { $0.hasSuffix(" ok") }, "\(outcome.stdout)")
  }

  @Test func noNetwork() async throws {
    let bench = try Workbench()
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 4) == 0 && getsockname(listener, $0, &length) == 0
      } ? UInt16(bigEndian: pointer.pointee.sin_port) : 0
    }
    try #require(port != 0)
    let outcome = try await bench.python(
      Self.prelude + """
        def tcp(host, port):
          s = socket.socket(); s.settimeout(2); s.connect((host, port))
        attempt("loopback", lambda: tcp("127.0.0.1", \(port)))
        attempt("lan", lambda: tcp("10.0.0.1", 80))
        attempt("metadata", lambda: tcp("169.254.169.254", 80))
        def unix(path):
          s = socket.socket(socket.AF_UNIX); s.connect(path)
        attempt("control", lambda: unix("/run/linnet/control.sock"))
        print(os.listdir("/sys/class/net") if os.path.exists("/sys") else "no sys")
        """)
    let lines = outcome.stdout.split(separator: "\n").map(String.init)
    #expect(lines == ["loopback ECONNREFUSED", "lan ENETUNREACH", "metadata ENETUNREACH", "control ENOENT", "no sys"])
  }

  @Test func hostFilesAreOutOfReach() async throws {
    let bench = try Workbench()
    let before = FileAccess.text("/proc/sys/kernel/core_pattern")
    let outcome = try await bench.python(
      Self.prelude + """
        def write(path): os.write(os.open(path, os.O_WRONLY), b"|/tmp/evil")
        def read(path): os.read(os.open(path, os.O_RDONLY), 10)
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/dev/x", "/usr/x", "/x", "/in/x", "/etc/passwd"):
          attempt(path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT)))
        for path in ("/proc/1/environ", "/proc/1/root/etc", "/proc/1/mem", "/proc/kcore", "/dev/mem", "/dev/vda"):
          attempt(path, lambda: read(path))
        attempt("stop-init", lambda: os.kill(1, 19))
        attempt("mknod", lambda: os.mknod("/out/null", 0o20666, 0x103))
        attempt("setuid", lambda: os.setuid(0))
        attempt("chown", lambda: os.chown("/out", 0, 0))
        """)
    let lines = outcome.stdout.split(separator: "\n")
    #expect(lines.count == 17, "\(outcome.stderr)")
    #expect(lines.allSatisfy { !$0.hasSuffix(" ok") }, "\(outcome.stdout)")
    #expect(FileAccess.text("/proc/sys/kernel/core_pattern") == before)
  }

  @Test func privilegesAreGone() async throws {
    let bench = try Workbench()
    let outcome = try await bench.shell(
      "grep -E 'Cap|NoNewPrivs|Seccomp:|Groups' /proc/self/status; cat /proc/1/cmdline | tr '\\0' ' '")
    for capability in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
      #expect(outcome.stdout.contains("Cap\(capability):\t0000000000000000"))
    }
    #expect(outcome.stdout.contains("NoNewPrivs:\t1") && outcome.stdout.contains("Seccomp:\t2"))
    #expect(!outcome.stdout.contains(bench.directory))
  }

  @Test func forgedRecordIsNotBelieved() async throws {
    let bench = try Workbench()
    let outcome = try await bench.shell(
      """
      for f in exit.json /out/../exit.json /exit.json /tmp/exit.json; do
        echo '{"version":1,"reason":"exited","exitCode":0}' > $f
      done 2>/dev/null
      exit 9
      """)
    #expect(outcome.record.reason == .exited && outcome.record.exitCode == 9)
  }
}
