#include "job_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t shim_read_file(int directory, const char *path, char *buffer, size_t capacity) {
  int file = openat(directory, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  size_t length = 0;
  while (length + 1 < capacity) {
    ssize_t count = read(file, buffer + length, capacity - 1 - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      close(file);
      return -1;
    }
    if (count == 0) break;
    length += (size_t)count;
  }
  close(file);
  buffer[length] = 0;
  return (ssize_t)length;
}

int shim_write_value(const char *path, const char *value) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  ssize_t count = write(file, value, strlen(value));
  int result = count < 0 ? -errno : 0;
  close(file);
  return result;
}

static bool parse_number(const char *value, uint64_t *number) {
  if (*value < '0' || *value > '9') return false;
  char *end = NULL;
  errno = 0;
  unsigned long long parsed = strtoull(value, &end, 10);
  if (errno != 0 || *end != 0) return false;
  *number = parsed;
  return true;
}

static bool take_setting(struct shim_orders *orders, char *value, bool required) {
  // The value of a control file holds no '=', its path may.
  char *separator = strrchr(value, '=');
  if (separator == NULL || orders->setting_count == SHIM_MAXIMUM_SETTINGS) return false;
  *separator = 0;
  orders->settings[orders->setting_count++] = (struct shim_setting){value, separator + 1, required};
  return true;
}

static bool take(struct shim_orders *orders, const char *key, char *value) {
  const struct { const char *key; const char **target; } strings[] = {
      {"lease", &orders->lease},          {"executable", &orders->executable},
      {"options", &orders->options},      {"filter", &orders->filter},
      {"killFile", &orders->kill_file},   {"eventsFile", &orders->events_file},
      {"procsFile", &orders->procs_file}, {"pidsFile", &orders->pids_file},
      {"oomFile", &orders->oom_file},     {"cpuFile", &orders->cpu_file},
      {"cpuKey", &orders->cpu_key},       {"peakFile", &orders->peak_file},
  };
  for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
    if (strcmp(key, strings[i].key) != 0) continue;
    *strings[i].target = value;
    return true;
  }
  const struct { const char *key; uint64_t *target; } numbers[] = {
      {"wallMicroseconds", &orders->wall_microseconds},
      {"graceMicroseconds", &orders->grace_microseconds},
      {"logCapBytes", &orders->log_cap_bytes},
      {"memoryBytes", &orders->memory_bytes},
      {"diskBytes", &orders->disk_bytes},
      {"outputEntries", &orders->output_entries},
      {"processes", &orders->processes},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (strcmp(key, numbers[i].key) == 0) return parse_number(value, numbers[i].target);
  }
  if (strcmp(key, "argument") == 0) {
    if (orders->argument_count == SHIM_MAXIMUM_ARGUMENTS) return false;
    orders->arguments[orders->argument_count++] = value;
    return true;
  }
  if (strcmp(key, "cgroup") == 0) {
    if (orders->cgroup_count == SHIM_MAXIMUM_CGROUPS) return false;
    orders->cgroups[orders->cgroup_count++] = value;
    return true;
  }
  if (strcmp(key, "set") == 0) return take_setting(orders, value, true);
  if (strcmp(key, "trySet") == 0) return take_setting(orders, value, false);
  return false;
}

bool shim_read_orders(int directory, struct shim_orders *orders, char *message, size_t message_bytes) {
  memset(orders, 0, sizeof *orders);
  int file = openat(directory, "shim.args", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0) {
    snprintf(message, message_bytes, "the shim cannot open its instructions: %s", strerror(errno));
    if (file >= 0) close(file);
    return false;
  }
  close(file);
  if (status.st_size <= 0 || status.st_size > SHIM_MAXIMUM_ORDERS_BYTES) {
    snprintf(message, message_bytes, "the shim's instructions are empty or too long");
    return false;
  }
  size_t size = (size_t)status.st_size;
  orders->text = malloc(size + 2);
  if (orders->text == NULL || shim_read_file(directory, "shim.args", orders->text, size + 1) != (ssize_t)size) {
    snprintf(message, message_bytes, "the shim cannot read its instructions");
    return false;
  }
  char *cursor = orders->text;
  char *end = orders->text + size;
  while (cursor < end) {
    char *key = cursor;
    char *value = key + strlen(key) + 1;
    if (value >= end) {
      snprintf(message, message_bytes, "the shim's instructions end within a pair");
      return false;
    }
    cursor = value + strlen(value) + 1;
    if (!take(orders, key, value)) {
      snprintf(message, message_bytes, "the shim does not understand its instruction \"%.40s\"", key);
      return false;
    }
  }
  if (cursor != end || orders->lease == NULL || orders->executable == NULL || orders->options == NULL ||
      orders->filter == NULL || orders->argument_count == 0 || orders->wall_microseconds == 0) {
    snprintf(message, message_bytes, "the shim's instructions are incomplete");
    return false;
  }
  return true;
}
