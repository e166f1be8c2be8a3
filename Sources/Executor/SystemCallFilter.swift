import CLinux
import CSeccomp
import Glibc

/// The system calls that no job needs and an attacker would: a deny list compiled by libseccomp to the program that
/// the sandbox loads. Everything denied answers EPERM, so that programs report an error instead of dying; clone3
/// answers ENOSYS because its flags lie in memory that a filter cannot read, and libraries then fall back to clone.
enum SystemCallFilter {
  /// Debugging and looking into others, new kernel interfaces with a history, time, keys, mounts and namespaces.
  static let denied = [
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
    "keyctl", "add_key", "request_key", "personality", "bpf", "perf_event_open", "userfaultfd",
    "io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret", "lookup_dcookie",
    "unshare", "setns", "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "open_by_handle_at", "name_to_handle_at", "fanotify_init",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
    "acct", "quotactl", "quotactl_fd", "syslog", "iopl", "ioperm", "vhangup", "nfsservctl", "uselib", "sysfs",
    "_sysctl",
    "settimeofday", "stime", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex",
    "sethostname", "setdomainname", "move_pages", "migrate_pages",
  ]

  /// CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
  static let namespaceFlags: [UInt64] = [
    0x0000_0080, 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
  ]

  /// Calls are numbered alike on all architectures from here on. What is newer than this list was written against
  /// answers ENOSYS, as on the kernel of that time, so that a new interface is not open by default.
  static let unknownCalls: ClosedRange<Int32> = 451...600

  private static let terminalInput: UInt64 = 0x5412
  private static let consoleInput: UInt64 = 0x541c

  private struct Failure: Error { var code: Int32 }

  /// The filter as the kernel takes it.
  static func program() throws(ExecutorError) -> [UInt8] {
    do {
      return try build()
    } catch {
      let code = (error as? Failure)?.code ?? 0
      throw ExecutorError(
        .missingTool, "libseccomp cannot build the job's system call filter; check that libseccomp2 2.5 is installed",
        cause: String(cString: strerror(-code)))
    }
  }

  private static func build() throws -> [UInt8] {
    guard let context = seccomp_init(action(0x7fff_0000)) else { throw Failure(code: -ENOMEM) }
    defer { seccomp_release(context) }
    // Another architecture's calls (32-bit, x32) would walk around every rule.
    try check(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, action(0x8000_0000)))
    _ = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2)
    for name in denied {
      let number = seccomp_syscall_resolve_name(name)
      // Not every architecture has every call.
      guard number >= 0 else { continue }
      try check(seccomp_rule_add_array(context, answer(EPERM), number, 0, nil))
    }
    try check(seccomp_rule_add_array(context, answer(ENOSYS), seccomp_syscall_resolve_name("clone3"), 0, nil))
    let clone = seccomp_syscall_resolve_name("clone")
    for flag in namespaceFlags {
      try add(context, clone, [compare(0, SCMP_CMP_MASKED_EQ, flag, flag)])
    }
    try addSockets(context)
    let ioctl = seccomp_syscall_resolve_name("ioctl")
    for request in [terminalInput, consoleInput] {
      try add(context, ioctl, [compare(1, SCMP_CMP_MASKED_EQ, 0xffff_ffff, request)])
    }
    for number in unknownCalls {
      try check(seccomp_rule_add_array(context, answer(ENOSYS), number, 0, nil))
    }
    return try export(context)
  }

  /// Unix, internet and netlink's route family remain; vsock leaves an empty network namespace, packet, ALG and
  /// the rest are attack surface.
  private static func addSockets(_ context: scmp_filter_ctx) throws {
    let socket = seccomp_syscall_resolve_name("socket")
    let inet: UInt64 = 2
    let inet6: UInt64 = 10
    let netlink: UInt64 = 16
    let raw: UInt64 = 3
    for family in UInt64(3)..<netlink where family != inet6 {
      try add(context, socket, [compare(0, SCMP_CMP_EQ, family)])
    }
    try add(context, socket, [compare(0, SCMP_CMP_GT, netlink)])
    try add(context, socket, [compare(0, SCMP_CMP_EQ, netlink), compare(2, SCMP_CMP_NE, 0)])
    for family in [inet, inet6] {
      try add(context, socket, [compare(0, SCMP_CMP_EQ, family), compare(1, SCMP_CMP_MASKED_EQ, 0xf, raw)])
    }
  }

  // The macros SCMP_ACT_* and SCMP_CMP are not importable.
  private static func action(_ value: UInt32) -> UInt32 { value }

  private static func answer(_ number: Int32) -> UInt32 { 0x0005_0000 | UInt32(number & 0xffff) }

  private static func compare(_ argument: UInt32, _ operation: scmp_compare, _ a: UInt64, _ b: UInt64 = 0)
    -> scmp_arg_cmp
  {
    scmp_arg_cmp(arg: argument, op: operation, datum_a: a, datum_b: b)
  }

  private static func add(_ context: scmp_filter_ctx, _ call: Int32, _ comparisons: [scmp_arg_cmp]) throws {
    try check(seccomp_rule_add_array(context, answer(EPERM), call, UInt32(comparisons.count), comparisons))
  }

  private static func check(_ result: Int32) throws {
    guard result == 0 else { throw Failure(code: result) }
  }

  private static func export(_ context: scmp_filter_ctx) throws -> [UInt8] {
    let file = linnet_memory_file("linnet-filter")
    guard file >= 0 else { throw Failure(code: file) }
    defer { close(file) }
    try check(seccomp_export_bpf(context, file))
    let size = Int(lseek(file, 0, SEEK_END))
    guard size > 0 else { throw Failure(code: -EIO) }
    var bytes = [UInt8](repeating: 0, count: size)
    let count = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress, size, 0) }
    guard count == size else { throw Failure(code: -EIO) }
    return bytes
  }
}
