#include "job_shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CONTROL_FILE_BYTES = 8192 };

/// The number after `key` in a file of lines "key number"; without a key, the file's only number.
static uint64_t control_number(const char *path, const char *key) {
  char text[CONTROL_FILE_BYTES];
  if (path == NULL || shim_read_file(AT_FDCWD, path, text, sizeof text) < 0) return 0;
  if (key == NULL || *key == 0) return strtoull(text, NULL, 10);
  size_t length = strlen(key);
  for (char *line = text; line != NULL && *line != 0;) {
    if (strncmp(line, key, length) == 0 && line[length] == ' ') return strtoull(line + length + 1, NULL, 10);
    line = strchr(line, '\n');
    if (line != NULL) line++;
  }
  return 0;
}

bool shim_group_create(struct shim_group *group, char *message, size_t message_bytes) {
  const struct shim_orders *orders = group->orders;
  for (size_t i = 0; i < orders->cgroup_count; i++) {
    if (mkdir(orders->cgroups[i], 0755) < 0 && errno != EEXIST) {
      snprintf(message, message_bytes, "cannot make the cgroup %s: %s", orders->cgroups[i], strerror(errno));
      return false;
    }
  }
  for (size_t i = 0; i < orders->setting_count; i++) {
    const struct shim_setting *setting = &orders->settings[i];
    int result = shim_write_value(setting->path, setting->value);
    if (result < 0 && setting->required) {
      snprintf(
          message, message_bytes, "cannot set the limit %s to %s: %s", setting->path, setting->value,
          strerror(-result));
      return false;
    }
  }
  return true;
}

bool shim_group_join(const struct shim_orders *orders) {
  for (size_t i = 0; i < orders->cgroup_count; i++) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/cgroup.procs", orders->cgroups[i]);
    if (length < 0 || (size_t)length >= sizeof path) return false;
    if (shim_write_value(path, "0") < 0) return false;
  }
  return true;
}

static uint64_t pid_namespace(pid_t pid) {
  char path[64];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
  return stat(path, &status) < 0 ? 0 : (uint64_t)status.st_ino;
}

void shim_group_set_first(struct shim_group *group, pid_t first) {
  group->first = first;
  uint64_t inode = pid_namespace(first);
  // Before the namespace exists the first process may still show ours; killing by it would be suicide.
  if (inode != pid_namespace(getpid())) group->namespace_inode = inode;
}

void shim_group_each(struct shim_group *group, shim_visit *visit, void *context) {
  if (group->orders->procs_file != NULL) {
    FILE *file = fopen(group->orders->procs_file, "re");
    if (file == NULL) return;
    int pid;
    while (fscanf(file, "%d", &pid) == 1) {
      if (pid > 0) visit(group, (pid_t)pid, context);
    }
    fclose(file);
    return;
  }
  if (group->sandbox > 0) visit(group, group->sandbox, context);
  if (group->namespace_inode == 0) return;
  DIR *directory = opendir("/proc");
  if (directory == NULL) return;
  struct dirent *entry;
  while ((entry = readdir(directory)) != NULL) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    pid_t pid = (pid_t)atoi(entry->d_name);
    if (pid_namespace(pid) == group->namespace_inode) visit(group, pid, context);
  }
  closedir(directory);
}

static bool is_member(const struct shim_group *group, pid_t pid) {
  if (group->orders->procs_file == NULL) {
    return pid == group->sandbox || pid_namespace(pid) == group->namespace_inode;
  }
  FILE *file = fopen(group->orders->procs_file, "re");
  if (file == NULL) return false;
  int member;
  bool found = false;
  while (!found && fscanf(file, "%d", &member) == 1) found = member == pid;
  fclose(file);
  return found;
}

/// A pid read from a list may be another process by now: the descriptor is opened first, membership checked after.
static void signal_member(struct shim_group *group, pid_t pid, int number) {
  int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
  if (descriptor < 0) return;
  if (is_member(group, pid)) syscall(SYS_pidfd_send_signal, descriptor, number, NULL, 0);
  close(descriptor);
}

static void visit_terminate(struct shim_group *group, pid_t pid, void *context) {
  // The sandbox's outer process would end at once and take the job with it, without its grace.
  if (pid == group->sandbox || pid == group->first) return;
  signal_member(group, pid, SIGTERM);
  (*(size_t *)context)++;
}

static void visit_kill(struct shim_group *group, pid_t pid, void *context) {
  (void)context;
  signal_member(group, pid, SIGKILL);
}

static void visit_count(struct shim_group *group, pid_t pid, void *context) {
  (void)group;
  (void)pid;
  (*(size_t *)context)++;
}

size_t shim_group_terminate(struct shim_group *group) {
  size_t count = 0;
  // Until the sandbox has told its first process, that one cannot be told from the command.
  if (group->first != 0) shim_group_each(group, visit_terminate, &count);
  return count;
}

void shim_group_kill(struct shim_group *group) {
  if (group->orders->kill_file != NULL && shim_write_value(group->orders->kill_file, "1") == 0) return;
  // Without cgroup.kill a fork bomb outruns a list of pids, unless it may no longer fork.
  if (group->orders->pids_file != NULL) shim_write_value(group->orders->pids_file, "0");
  shim_group_each(group, visit_kill, NULL);
}

bool shim_group_empty(struct shim_group *group) {
  if (group->orders->events_file != NULL && access(group->orders->events_file, R_OK) == 0) {
    return control_number(group->orders->events_file, "populated") == 0;
  }
  size_t count = 0;
  shim_group_each(group, visit_count, &count);
  return count == 0;
}

uint64_t shim_group_oom_kills(const struct shim_group *group) {
  return control_number(group->orders->oom_file, "oom_kill");
}

uint64_t shim_group_cpu_microseconds(const struct shim_group *group) {
  const struct shim_orders *orders = group->orders;
  if (orders->cpu_file != NULL) {
    uint64_t number = control_number(orders->cpu_file, orders->cpu_key);
    return orders->cpu_key != NULL && *orders->cpu_key != 0 ? number : number / 1000;
  }
  struct rusage usage;
  if (getrusage(RUSAGE_CHILDREN, &usage) < 0) return 0;
  return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
         (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

uint64_t shim_group_peak_bytes(const struct shim_group *group) {
  uint64_t peak = control_number(group->orders->peak_file, NULL);
  return peak > 0 ? peak : group->measured_peak_bytes;
}

struct measure {
  uint64_t pages;
  uint64_t processes;
};

static void visit_measure(struct shim_group *group, pid_t pid, void *context) {
  (void)group;
  struct measure *measure = context;
  char path[64];
  char text[256];
  snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
  if (shim_read_file(AT_FDCWD, path, text, sizeof text) <= 0) return;
  unsigned long long size, resident;
  measure->processes++;
  if (sscanf(text, "%llu %llu", &size, &resident) == 2) measure->pages += resident;
}

void shim_group_measure(struct shim_group *group, uint64_t *resident_bytes, uint64_t *processes) {
  struct measure measure = {0, 0};
  shim_group_each(group, visit_measure, &measure);
  *resident_bytes = measure.pages * (uint64_t)sysconf(_SC_PAGESIZE);
  *processes = measure.processes;
  if (*resident_bytes > group->measured_peak_bytes) group->measured_peak_bytes = *resident_bytes;
}

void shim_group_remove(const struct shim_group *group) {
  for (size_t i = 0; i < group->orders->cgroup_count; i++) {
    // A cgroup stays busy for a moment after its last process is reaped.
    for (int attempt = 0; attempt < 100; attempt++) {
      if (rmdir(group->orders->cgroups[i]) == 0 || errno != EBUSY) break;
      usleep(2000);
    }
  }
}
