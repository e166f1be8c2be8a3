#include "job_shim.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  /// Deleted files that are told apart; those beyond are counted once for each descriptor.
  DELETED_FILES = 1024,
  /// Descriptors that are looked at each time: a job may hold millions, and the shim has pipes to drain.
  DESCRIPTORS_AT_ONCE = 20000,
};

struct deleted {
  dev_t device;
  ino_t seen[DELETED_FILES];
  size_t count;
  size_t looked_at;
  uint64_t bytes;
};

static bool measure_below(int directory, int depth, uint64_t entry_limit, uint64_t *bytes, uint64_t *entries) {
  DIR *stream = fdopendir(directory);
  if (stream == NULL) {
    close(directory);
    return true;
  }
  bool within = true;
  struct dirent *entry;
  while (within && *entries <= entry_limit && (entry = readdir(stream)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    struct stat status;
    if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
    (*entries)++;
    *bytes += (uint64_t)status.st_blocks * 512;
    if (!S_ISDIR(status.st_mode)) continue;
    if (depth == SHIM_MAXIMUM_OUTPUT_DEPTH) {
      within = false;
      break;
    }
    int below = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0) within = measure_below(below, depth + 1, entry_limit, bytes, entries);
  }
  closedir(stream);
  return within;
}

static bool is_new(struct deleted *deleted, ino_t inode) {
  for (size_t i = 0; i < deleted->count; i++) {
    if (deleted->seen[i] == inode) return false;
  }
  if (deleted->count < DELETED_FILES) deleted->seen[deleted->count++] = inode;
  return true;
}

/// A file that is deleted while open takes its space but has no name: it would be a way around the limit.
static void visit_deleted(struct shim_group *group, pid_t pid, void *context) {
  (void)group;
  struct deleted *deleted = context;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *stream = opendir(path);
  if (stream == NULL) return;
  struct dirent *entry;
  while (deleted->looked_at < DESCRIPTORS_AT_ONCE && (entry = readdir(stream)) != NULL) {
    struct stat status;
    deleted->looked_at++;
    if (entry->d_name[0] == '.' || fstatat(dirfd(stream), entry->d_name, &status, 0) < 0) continue;
    if (!S_ISREG(status.st_mode) || status.st_nlink != 0 || status.st_dev != deleted->device) continue;
    if (is_new(deleted, status.st_ino)) deleted->bytes += (uint64_t)status.st_blocks * 512;
  }
  closedir(stream);
}

bool shim_measure_output(
    int directory, struct shim_group *group, uint64_t entry_limit, uint64_t *bytes, uint64_t *entries) {
  *bytes = 0;
  *entries = 0;
  int out = openat(directory, "out", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  if (out < 0) return true;
  if (fstat(out, &status) == 0) {
    static struct deleted deleted;
    deleted.device = status.st_dev;
    deleted.count = 0;
    deleted.looked_at = 0;
    deleted.bytes = 0;
    shim_group_each(group, visit_deleted, &deleted);
    *bytes = deleted.bytes;
  }
  return measure_below(out, 1, entry_limit, bytes, entries);
}
