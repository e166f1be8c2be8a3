// `linnet nvml-probe LIBRARY`: asks NVML about every card and prints what it answered, one `key=value` a line.
//
// It is a process of its own, entered before the Swift runtime does anything, because a sick driver hangs its caller
// in the kernel and a sick library crashes it. Every line is written at once, and each call is announced by
// `call=NAME`, so that the parent knows what was learnt before the end and in what it ended.
//
//   probe=1            the first line: format version
//   library=TEXT       why the library could not be opened or started; nothing follows but `end`
//   driver= nvml= cuda= count=
//   gpu=N              what follows is about card N
//   mig=N              what follows is about MIG instance N of that card
//   KEY.unread=TEXT    why KEY could not be read
//   end=1              the last line of a run that was not cut short
#include "nvml_layouts.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAXIMUM_CARDS = 64, MAXIMUM_MIG_INSTANCES = 16, MAXIMUM_TEXT = 160 };

static void *library;
static const char *(*error_string)(int);

static void put_text(const char *key, const char *text) {
  char clean[MAXIMUM_TEXT + 1];
  size_t length = 0;
  for (; length < MAXIMUM_TEXT && text[length] != '\0'; length++) {
    unsigned char byte = (unsigned char)text[length];
    clean[length] = byte < 0x20 || byte >= 0x7f ? '?' : (char)byte;
  }
  clean[length] = '\0';
  printf("%s=%s\n", key, clean);
}

static void put_number(const char *key, unsigned long long number) { printf("%s=%llu\n", key, number); }

static void put_unread(const char *key, const char *why) {
  char name[64];
  snprintf(name, sizeof name, "%s.unread", key);
  put_text(name, why);
}

static const char *describe(int code) {
  static char text[MAXIMUM_TEXT];
  const char *words = error_string ? error_string(code) : NULL;
  snprintf(text, sizeof text, "%s (NVML error %d)", words ? words : "no text", code);
  return text;
}

/// The function of that name, announced; NULL and a line saying so when this library has none.
static void *find(const char *name, const char *key) {
  void *function = dlsym(library, name);
  if (function == NULL) {
    char why[MAXIMUM_TEXT];
    snprintf(why, sizeof why, "this driver's library has no %s", name);
    if (key) put_unread(key, why);
    return NULL;
  }
  printf("call=%s\n", name);
  return function;
}

static void read_text(linnet_nvml_device device, const char *name, const char *key) {
  int (*get)(linnet_nvml_device, char *, unsigned int) = find(name, key);
  if (!get) return;
  char text[MAXIMUM_TEXT] = "";
  int code = get(device, text, sizeof text - 1);
  if (code == LINNET_NVML_SUCCESS) put_text(key, text);
  else put_unread(key, describe(code));
}

static void read_number(linnet_nvml_device device, const char *name, const char *key) {
  int (*get)(linnet_nvml_device, unsigned int *) = find(name, key);
  if (!get) return;
  unsigned int number = 0;
  int code = get(device, &number);
  if (code == LINNET_NVML_SUCCESS) put_number(key, number);
  else put_unread(key, describe(code));
}

/// For the calls that take one selector before the answer.
static void read_selected(linnet_nvml_device device, const char *name, unsigned int selector, const char *key) {
  int (*get)(linnet_nvml_device, unsigned int, unsigned int *) = find(name, key);
  if (!get) return;
  unsigned int number = 0;
  int code = get(device, selector, &number);
  if (code == LINNET_NVML_SUCCESS) put_number(key, number);
  else put_unread(key, describe(code));
}

/// For the calls that answer a current and a pending value.
static void read_current(linnet_nvml_device device, const char *name, const char *key) {
  int (*get)(linnet_nvml_device, unsigned int *, unsigned int *) = find(name, key);
  if (!get) return;
  unsigned int current = 0, pending = 0;
  int code = get(device, &current, &pending);
  if (code == LINNET_NVML_SUCCESS) put_number(key, current);
  else put_unread(key, describe(code));
}

static void read_memory(linnet_nvml_device device) {
  int (*get_v2)(linnet_nvml_device, linnet_nvml_memory_v2 *) = find("nvmlDeviceGetMemoryInfo_v2", NULL);
  if (get_v2) {
    linnet_nvml_memory_v2 memory = {.version = LINNET_NVML_MEMORY_V2_VERSION};
    if (get_v2(device, &memory) == LINNET_NVML_SUCCESS) {
      put_number("memory-total", memory.total);
      put_number("memory-free", memory.free);
      return;
    }
  }
  // Older libraries refuse the second version or lack it.
  int (*get)(linnet_nvml_device, linnet_nvml_memory *) = find("nvmlDeviceGetMemoryInfo", "memory-total");
  if (!get) return;
  linnet_nvml_memory memory = {0};
  int code = get(device, &memory);
  if (code == LINNET_NVML_SUCCESS) {
    put_number("memory-total", memory.total);
    put_number("memory-free", memory.free);
  } else {
    put_unread("memory-total", describe(code));
  }
}

static void read_address(linnet_nvml_device device) {
  int (*get)(linnet_nvml_device, linnet_nvml_pci_info *) = find("nvmlDeviceGetPciInfo_v3", "pci");
  if (!get) return;
  linnet_nvml_pci_info info;
  memset(&info, 0, sizeof info);
  int code = get(device, &info);
  info.bus_id[sizeof info.bus_id - 1] = '\0';
  if (code == LINNET_NVML_SUCCESS) put_text("pci", info.bus_id);
  else put_unread("pci", describe(code));
}

static void read_capability(linnet_nvml_device device) {
  int (*get)(linnet_nvml_device, int *, int *) = find("nvmlDeviceGetCudaComputeCapability", "capability");
  if (!get) return;
  int major = 0, minor = 0;
  int code = get(device, &major, &minor);
  if (code == LINNET_NVML_SUCCESS) printf("capability=%d.%d\n", major, minor);
  else put_unread("capability", describe(code));
}

static void read_utilization(linnet_nvml_device device) {
  int (*get)(linnet_nvml_device, linnet_nvml_utilization *) = find("nvmlDeviceGetUtilizationRates", "utilization");
  if (!get) return;
  linnet_nvml_utilization rates = {0};
  int code = get(device, &rates);
  if (code == LINNET_NVML_SUCCESS) put_number("utilization", rates.gpu);
  else put_unread("utilization", describe(code));
}

static void read_ecc_errors(linnet_nvml_device device, unsigned int counter, const char *key) {
  enum { UNCORRECTED = 1 };
  int (*get)(linnet_nvml_device, unsigned int, unsigned int, unsigned long long *) =
      find("nvmlDeviceGetTotalEccErrors", key);
  if (!get) return;
  unsigned long long errors = 0;
  int code = get(device, UNCORRECTED, counter, &errors);
  if (code == LINNET_NVML_SUCCESS) put_number(key, errors);
  else put_unread(key, describe(code));
}

static void read_remapped_rows(linnet_nvml_device device) {
  int (*get)(linnet_nvml_device, unsigned int *, unsigned int *, unsigned int *, unsigned int *) =
      find("nvmlDeviceGetRemappedRows", "remap-pending");
  if (!get) return;
  unsigned int correctable = 0, uncorrectable = 0, pending = 0, failed = 0;
  int code = get(device, &correctable, &uncorrectable, &pending, &failed);
  if (code == LINNET_NVML_SUCCESS) {
    put_number("remap-pending", pending);
    put_number("remap-failed", failed);
  } else {
    put_unread("remap-pending", describe(code));
  }
}

/// Only the number is asked for, so that the process struct, which grew over the versions, need not be known.
static void read_processes(linnet_nvml_device device) {
  static const char *const names[] = {"nvmlDeviceGetComputeRunningProcesses_v3",
                                      "nvmlDeviceGetComputeRunningProcesses_v2",
                                      "nvmlDeviceGetComputeRunningProcesses"};
  for (int i = 0; i < 3; i++) {
    int (*get)(linnet_nvml_device, unsigned int *, void *) = find(names[i], i == 2 ? "processes" : NULL);
    if (!get) continue;
    unsigned int count = 0;
    int code = get(device, &count, NULL);
    if (code == LINNET_NVML_SUCCESS || code == LINNET_NVML_INSUFFICIENT_SIZE) put_number("processes", count);
    else put_unread("processes", describe(code));
    return;
  }
}

static void read_mig_instances(linnet_nvml_device device) {
  int (*get)(linnet_nvml_device, unsigned int, linnet_nvml_device *) =
      find("nvmlDeviceGetMigDeviceHandleByIndex", "mig-instances");
  if (!get) return;
  for (unsigned int i = 0; i < MAXIMUM_MIG_INSTANCES; i++) {
    linnet_nvml_device instance = NULL;
    // Free places among the instances answer NOT_FOUND.
    if (get(device, i, &instance) != LINNET_NVML_SUCCESS) continue;
    printf("mig=%u\n", i);
    read_text(instance, "nvmlDeviceGetName", "name");
    read_text(instance, "nvmlDeviceGetUUID", "uuid");
    read_memory(instance);
  }
}

static void read_card(linnet_nvml_device device) {
  enum { SENSOR_GPU = 0, CLOCK_SM = 1, SINCE_BOOT = 0, LIFETIME = 1 };
  read_address(device);
  read_text(device, "nvmlDeviceGetName", "name");
  read_text(device, "nvmlDeviceGetUUID", "uuid");
  read_number(device, "nvmlDeviceGetMinorNumber", "minor");
  read_memory(device);
  read_capability(device);
  read_selected(device, "nvmlDeviceGetTemperature", SENSOR_GPU, "temperature");
  read_number(device, "nvmlDeviceGetPowerUsage", "power");
  read_number(device, "nvmlDeviceGetEnforcedPowerLimit", "power-limit");
  read_selected(device, "nvmlDeviceGetClockInfo", CLOCK_SM, "clock");
  read_utilization(device);
  read_current(device, "nvmlDeviceGetEccMode", "ecc");
  read_ecc_errors(device, SINCE_BOOT, "ecc-errors");
  read_ecc_errors(device, LIFETIME, "ecc-errors-lifetime");
  read_remapped_rows(device);
  read_number(device, "nvmlDeviceGetRetiredPagesPendingStatus", "retired-pending");
  read_number(device, "nvmlDeviceGetComputeMode", "compute-mode");
  read_processes(device);
  read_current(device, "nvmlDeviceGetMigMode", "mig-mode");
  read_mig_instances(device);
}

static void read_system(void) {
  int (*get_text)(char *, unsigned int) = find("nvmlSystemGetDriverVersion", "driver");
  char text[MAXIMUM_TEXT] = "";
  if (get_text) {
    int code = get_text(text, sizeof text - 1);
    if (code == LINNET_NVML_SUCCESS) put_text("driver", text);
    else put_unread("driver", describe(code));
  }
  int (*get_cuda)(int *) = find("nvmlSystemGetCudaDriverVersion_v2", "cuda");
  int version = 0;
  if (get_cuda) {
    int code = get_cuda(&version);
    if (code == LINNET_NVML_SUCCESS) printf("cuda=%d.%d\n", version / 1000, version % 1000 / 10);
    else put_unread("cuda", describe(code));
  }
}

static void probe(const char *path) {
  puts("probe=1");
  puts("call=dlopen");
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    put_text("library", why ? why : "cannot be opened");
    return;
  }
  error_string = dlsym(library, "nvmlErrorString");
  int (*start)(void) = dlsym(library, "nvmlInit_v2");
  int (*get_count)(unsigned int *) = dlsym(library, "nvmlDeviceGetCount_v2");
  int (*get_handle)(unsigned int, linnet_nvml_device *) = dlsym(library, "nvmlDeviceGetHandleByIndex_v2");
  if (!start || !get_count || !get_handle) {
    put_text("library", "lacks nvmlInit_v2, nvmlDeviceGetCount_v2 or nvmlDeviceGetHandleByIndex_v2: it is no NVML");
    return;
  }
  puts("call=nvmlInit_v2");
  int code = start();
  if (code != LINNET_NVML_SUCCESS) {
    put_text("library", describe(code));
    return;
  }
  read_system();
  puts("call=nvmlDeviceGetCount_v2");
  unsigned int count = 0;
  code = get_count(&count);
  if (code != LINNET_NVML_SUCCESS) {
    put_text("library", describe(code));
    return;
  }
  put_number("count", count);
  for (unsigned int i = 0; i < count && i < MAXIMUM_CARDS; i++) {
    printf("gpu=%u\n", i);
    puts("call=nvmlDeviceGetHandleByIndex_v2");
    linnet_nvml_device device = NULL;
    code = get_handle(i, &device);
    if (code == LINNET_NVML_SUCCESS) read_card(device);
    else put_text("handle.unread", describe(code));
  }
}

__attribute__((constructor)) static void enter_nvml_probe(int argc, char **argv, char **environment) {
  (void)environment;
  if (argc != 3 || strcmp(argv[1], "nvml-probe") != 0) return;
  // Nobody waits for a probe whose daemon has gone, and nobody reads its core dump.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  setvbuf(stdout, NULL, _IOLBF, 0);
  probe(argv[2]);
  puts("end=1");
  fflush(stdout);
  // Not nvmlShutdown, not exit handlers: both run the driver's code, and there is nothing left to learn from it.
  _exit(0);
}
