#include "job_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char drain_buffer[64 << 10];

static const uint64_t throttle_microseconds = 5000;
static const int reads_at_once = 4;

static void keep(struct shim_log *log, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t written = write(log->file, bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      // A full disk must not stop the job's pipes: what cannot be kept is counted as left out.
      log->lost = true;
      return;
    }
    log->kept_in_file += (uint64_t)written;
    bytes += written;
    count -= (size_t)written;
  }
}

static void take(struct shim_log *log, const char *bytes, size_t count) {
  uint64_t before = log->total_bytes;
  log->total_bytes += count;
  if (before < log->head_bytes) {
    uint64_t room = log->head_bytes - before;
    size_t part = count < room ? count : (size_t)room;
    keep(log, bytes, part);
    bytes += part;
    count -= part;
  }
  if (count == 0 || log->tail_bytes == 0) return;
  if (log->ring == NULL) log->ring = malloc(log->tail_bytes);
  if (log->ring == NULL) {
    log->lost = true;
    return;
  }
  while (count > 0) {
    uint64_t at = log->ring_written % log->tail_bytes;
    uint64_t room = log->tail_bytes - at;
    size_t part = count < room ? count : (size_t)room;
    memcpy(log->ring + at, bytes, part);
    log->ring_written += part;
    bytes += part;
    count -= part;
  }
}

void shim_log_open(struct shim_log *log, int directory, const char *name, uint64_t cap_bytes) {
  memset(log, 0, sizeof *log);
  log->pipe = -1;
  log->tail_bytes = cap_bytes / 2;
  log->head_bytes = cap_bytes - log->tail_bytes;
  log->file = openat(directory, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (log->file < 0) log->lost = true;
}

static void drain(struct shim_log *log, uint64_t budget) {
  while (log->pipe >= 0 && budget > 0) {
    budget--;
    ssize_t count = read(log->pipe, drain_buffer, sizeof drain_buffer);
    if (count > 0) {
      take(log, drain_buffer, (size_t)count);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    close(log->pipe);
    log->pipe = -1;
  }
}

void shim_log_drain(struct shim_log *log, uint64_t now) {
  drain(log, (uint64_t)reads_at_once);
  if (shim_log_truncated(log)) log->resume_at = now + throttle_microseconds;
}

bool shim_log_truncated(const struct shim_log *log) {
  return log->lost || log->total_bytes > log->head_bytes + log->tail_bytes;
}

void shim_log_finish(struct shim_log *log) {
  // The job is gone, so at most one pipe's capacity is left; the budget is for a writer that is not.
  drain(log, 64);
  if (log->pipe >= 0) close(log->pipe);
  log->pipe = -1;
  if (log->ring != NULL) {
    if (log->ring_written > log->tail_bytes) {
      char mark[96];
      int length = snprintf(
          mark, sizeof mark, "\n[linnet: %llu bytes left out here]\n",
          (unsigned long long)(log->ring_written - log->tail_bytes));
      keep(log, mark, (size_t)length);
      uint64_t at = log->ring_written % log->tail_bytes;
      keep(log, log->ring + at, (size_t)(log->tail_bytes - at));
      keep(log, log->ring, (size_t)at);
    } else {
      keep(log, log->ring, (size_t)log->ring_written);
    }
    free(log->ring);
    log->ring = NULL;
  }
  if (log->file >= 0) close(log->file);
  log->file = -1;
}
