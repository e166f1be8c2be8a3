import Foundation

/// A library with NVML's functions, compiled from C by the test: four cards, of which the second is in MIG mode, the
/// third has bad memory and a process on it, and the fourth has fallen off the bus. Macros change its behaviour.
enum FakeNVML {
  struct CompilerFailure: Error { let output: String }

  /// Compiles the library with `macros` into the tree and returns its path.
  static func build(in tree: FixtureTree, _ macros: String...) throws -> String {
    let library = tree.root + "/libfake-nvml-\(macros.joined(separator: "-")).so"
    try tree.write("/fake_nvml.c", source)
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    compiler.arguments =
      ["cc", "-shared", "-fPIC", "-w", "-o", library] + macros.map { "-D" + $0 } + [tree.root + "/fake_nvml.c"]
    let pipe = Pipe()
    compiler.standardError = pipe
    try compiler.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    compiler.waitUntilExit()
    guard compiler.terminationStatus == 0 else {
      throw CompilerFailure(output: String(decoding: output, as: UTF8.self))
    }
    return library
  }

  static let source = #"""
    #include <stdio.h>
    #include <string.h>
    #include <stdlib.h>
    #include <unistd.h>
    typedef struct card { int index; int is_mig; } *device;
    static struct card cards[4] = {{0,0},{1,0},{2,0},{3,0}};
    static struct card instances[2] = {{0,1},{1,1}};
    #ifndef COUNT
    #define COUNT 4
    #endif
    int nvmlInit_v2(void) {
    #ifdef INIT_HANGS
      for (;;) pause();
    #endif
    #ifdef INIT_FAILS
      return 9;
    #endif
      return 0;
    }
    const char *nvmlErrorString(int code) {
      return code == 15 ? "GPU is lost" : code == 9 ? "Driver Not Loaded" : code == 3 ? "Not Supported" : "Other";
    }
    int nvmlDeviceGetCount_v2(unsigned *count) { *count = COUNT; return 0; }
    #ifndef LACKS_HANDLE
    int nvmlDeviceGetHandleByIndex_v2(unsigned index, device *result) {
      if (index == 3) return 15;
      *result = &cards[index % 4];
      return 0;
    }
    #endif
    int nvmlSystemGetDriverVersion(char *text, unsigned length) { snprintf(text, length, "550.54.15"); return 0; }
    int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12040; return 0; }
    int nvmlDeviceGetName(device d, char *text, unsigned length) {
    #ifdef NAME_CRASHES
      if (d->index == 1) abort();
    #endif
    #ifdef NAME_EXITS
      if (d->index == 1) _exit(7);
    #endif
    #ifdef NAME_FLOODS
      for (;;) printf("name=%0100d\n", 1);
    #endif
    #ifdef NAME_LIES
      snprintf(text, length, "Card\nend=1\ngpu=9\x1b[2J");
      return 0;
    #endif
      snprintf(text, length, d->is_mig ? "MIG 1g.10gb %d" : "Fake GPU %d", d->index);
      return 0;
    }
    int nvmlDeviceGetUUID(device d, char *text, unsigned length) {
      snprintf(text, length, "%s-%08d", d->is_mig ? "MIG" : "GPU", d->index);
      return 0;
    }
    struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };
    int nvmlDeviceGetPciInfo_v3(device d, struct pci *info) {
      memset(info, 0, sizeof *info);
      snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0", 0x3a + d->index);
      return 0;
    }
    int nvmlDeviceGetMinorNumber(device d, unsigned *minor) { *minor = d->index; return 0; }
    struct memory { unsigned long long total, free, used; };
    struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };
    #ifndef LACKS_MEMORY_V2
    int nvmlDeviceGetMemoryInfo_v2(device d, struct memory_v2 *memory) {
    #ifdef MEMORY_HANGS
      if (d->index == 1) for (;;) pause();
    #endif
    #ifdef MEMORY_UNIFIED
      return 3;
    #endif
      if (memory->version != 0x02000028) return 25;
      memory->total = 80ull << 30;
      memory->free = 79ull << 30;
      if (d->is_mig) memory->total = 10ull << 30;
      return 0;
    }
    #endif
    int nvmlDeviceGetMemoryInfo(device d, struct memory *memory) {
    #ifdef MEMORY_UNIFIED
      return 3;
    #endif
      memory->total = 40ull << 30;
      memory->free = 39ull << 30;
      return 0;
    }
    int nvmlDeviceGetCudaComputeCapability(device d, int *major, int *minor) { *major = 9; *minor = 0; return 0; }
    int nvmlDeviceGetTemperature(device d, unsigned sensor, unsigned *celsius) { *celsius = 31 + d->index; return 0; }
    int nvmlDeviceGetPowerUsage(device d, unsigned *milliwatts) { *milliwatts = 70123; return 0; }
    int nvmlDeviceGetClockInfo(device d, unsigned clock, unsigned *megahertz) {
      *megahertz = clock == 1 ? 1980 : 1;
      return 0;
    }
    struct rates { unsigned gpu, memory; };
    int nvmlDeviceGetUtilizationRates(device d, struct rates *rates) {
      if (d->index == 1) return 3;
      rates->gpu = 17;
      rates->memory = 2;
      return 0;
    }
    int nvmlDeviceGetEccMode(device d, unsigned *now, unsigned *next) { *now = 1; *next = 0; return 0; }
    int nvmlDeviceGetTotalEccErrors(device d, unsigned kind, unsigned counter, unsigned long long *errors) {
      *errors = d->index == 2 && kind == 1 ? 5 + counter : 0;
      return 0;
    }
    int nvmlDeviceGetRemappedRows(device d, unsigned *a, unsigned *b, unsigned *pending, unsigned *failed) {
      *a = *b = *failed = 0;
      *pending = d->index == 2;
      return 0;
    }
    int nvmlDeviceGetComputeMode(device d, unsigned *mode) {
    #ifdef PROHIBITED
      *mode = 2;
    #else
      *mode = 0;
    #endif
      return 0;
    }
    int nvmlDeviceGetComputeRunningProcesses_v3(device d, unsigned *count, void *infos) {
      if (d->index != 2) { *count = 0; return 0; }
      *count = 2;
      return 7;
    }
    #ifndef LACKS_MIG
    int nvmlDeviceGetMigMode(device d, unsigned *now, unsigned *next) {
      if (d->index == 0) return 3;
      *now = *next = d->index == 1;
      return 0;
    }
    int nvmlDeviceGetMigDeviceHandleByIndex(device d, unsigned index, device *instance) {
      if (d->index != 1 || index == 1 || index > 2) return 6;
      *instance = &instances[index / 2];
      return 0;
    }
    #endif
    """#
}
