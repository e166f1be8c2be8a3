#include "job_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_string(FILE *file, const char *text) {
  fputc('"', file);
  for (const unsigned char *byte = (const unsigned char *)text; *byte != 0; byte++) {
    if (*byte == '"' || *byte == '\\') fprintf(file, "\\%c", *byte);
    // What a job wrote may be quoted in a message, and its bytes need not be UTF-8.
    else if (*byte < 0x20 || *byte > 0x7e) fprintf(file, "\\u%04x", *byte);
    else fputc(*byte, file);
  }
  fputc('"', file);
}

static FILE *open_temporary(int directory, const char *name) {
  unlinkat(directory, name, 0);
  int descriptor = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (descriptor < 0) return NULL;
  FILE *file = fdopen(descriptor, "w");
  if (file == NULL) close(descriptor);
  return file;
}

static bool publish(int directory, FILE *file, const char *temporary, const char *name, bool durable) {
  bool good = fflush(file) == 0 && !ferror(file);
  if (good && durable) good = fsync(fileno(file)) == 0;
  good = fclose(file) == 0 && good;
  if (!good || renameat(directory, temporary, directory, name) < 0) return false;
  return !durable || fsync(directory) == 0;
}

static const char *reason_name(enum shim_reason reason) {
  switch (reason) {
    case SHIM_EXITED: return "exited";
    case SHIM_SIGNALLED: return "signalled";
    case SHIM_WALL_LIMIT: return "wallLimit";
    case SHIM_MEMORY_LIMIT: return "memoryLimit";
    case SHIM_DISK_LIMIT: return "diskLimit";
    case SHIM_CANCELLED: return "cancelled";
    case SHIM_RUNNING:
    case SHIM_START_FAILED: break;
  }
  return "startFailed";
}

bool shim_write_record(int directory, const struct shim_record *record) {
  FILE *file = open_temporary(directory, "exit.json.new");
  if (file == NULL) return false;
  fprintf(file, "{\"version\":1,\"lease\":");
  print_string(file, record->lease);
  fprintf(file, ",\"reason\":\"%s\",\"exitCode\":", reason_name(record->reason));
  if (record->exit_code >= 0) fprintf(file, "%d", record->exit_code);
  else fputs("null", file);
  fputs(",\"signal\":", file);
  if (record->signal > 0) fprintf(file, "%d", record->signal);
  else fputs("null", file);
  fprintf(
      file,
      ",\"startedMicroseconds\":%llu,\"endedMicroseconds\":%llu,\"cpuMicroseconds\":%llu,"
      "\"peakMemoryBytes\":%llu,\"stdoutBytes\":%llu,\"stderrBytes\":%llu,"
      "\"stdoutTruncated\":%s,\"stderrTruncated\":%s,\"message\":",
      (unsigned long long)record->started_microseconds, (unsigned long long)record->ended_microseconds,
      (unsigned long long)record->cpu_microseconds, (unsigned long long)record->peak_memory_bytes,
      (unsigned long long)record->stdout_bytes, (unsigned long long)record->stderr_bytes,
      record->stdout_truncated ? "true" : "false", record->stderr_truncated ? "true" : "false");
  print_string(file, record->message);
  fputs("}\n", file);
  return publish(directory, file, "exit.json.new", "exit.json", true);
}

/// Field 22 of /proc/self/stat, counted after the command's name, which may hold spaces and parentheses.
static unsigned long long own_start_time(void) {
  char text[2048];
  if (shim_read_file(AT_FDCWD, "/proc/self/stat", text, sizeof text) <= 0) return 0;
  char *cursor = strrchr(text, ')');
  for (int field = 2; cursor != NULL && field < 22; field++) {
    cursor = strchr(cursor + 1, ' ');
  }
  return cursor == NULL ? 0 : strtoull(cursor + 1, NULL, 10);
}

bool shim_write_identity(int directory, const struct shim_orders *orders) {
  char boot[64] = "";
  shim_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot);
  boot[strcspn(boot, "\n")] = 0;
  FILE *file = open_temporary(directory, "shim.json.new");
  if (file == NULL) return false;
  fprintf(file, "{\"version\":1,\"lease\":");
  print_string(file, orders->lease);
  fprintf(file, ",\"pid\":%d,\"startTime\":%llu,\"bootID\":", (int)getpid(), own_start_time());
  print_string(file, boot);
  fputs(",\"cgroups\":[", file);
  for (size_t i = 0; i < orders->cgroup_count; i++) {
    if (i > 0) fputc(',', file);
    print_string(file, orders->cgroups[i]);
  }
  fputs("]}\n", file);
  return publish(directory, file, "shim.json.new", "shim.json", false);
}
