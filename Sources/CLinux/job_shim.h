// The job shim: one process for each lease, started by the daemon, which outlives the daemon and owns
// the job's cgroup, its sandbox, its log pipes and its exit record. Private to CLinux.
#ifndef LINNET_JOB_SHIM_H
#define LINNET_JOB_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
  SHIM_MAXIMUM_CGROUPS = 8,
  SHIM_MAXIMUM_SETTINGS = 24,
  SHIM_MAXIMUM_ARGUMENTS = 4096,
  SHIM_MAXIMUM_ORDERS_BYTES = 4 << 20,
  SHIM_MESSAGE_BYTES = 1024,
  /// Deeper outputs are refused: each level costs a descriptor when it is measured.
  SHIM_MAXIMUM_OUTPUT_DEPTH = 64,
};

/// A value written into a control file of a cgroup before the job starts.
struct shim_setting {
  const char *path;
  const char *value;
  bool required;
};

/// What the daemon wrote into `shim.args`: NUL-separated pairs of key and value. Strings point into `text`.
struct shim_orders {
  char *text;
  const char *lease;
  const char *executable;
  const char *options;
  const char *filter;
  const char *arguments[SHIM_MAXIMUM_ARGUMENTS];
  size_t argument_count;
  const char *cgroups[SHIM_MAXIMUM_CGROUPS];
  size_t cgroup_count;
  struct shim_setting settings[SHIM_MAXIMUM_SETTINGS];
  size_t setting_count;
  const char *kill_file;
  const char *events_file;
  const char *procs_file;
  const char *pids_file;
  const char *oom_file;
  const char *cpu_file;
  const char *cpu_key;
  const char *peak_file;
  uint64_t wall_microseconds;
  uint64_t grace_microseconds;
  uint64_t log_cap_bytes;
  uint64_t memory_bytes;
  uint64_t disk_bytes;
  uint64_t output_entries;
  uint64_t processes;
};

/// Reads `shim.args` in `directory`. Returns false and fills `message` when it cannot be used.
bool shim_read_orders(int directory, struct shim_orders *orders, char *message, size_t message_bytes);

/// One of the job's two streams: drained always, kept up to a cap with its head and its tail.
struct shim_log {
  int pipe;
  int file;
  uint64_t head_bytes;
  uint64_t tail_bytes;
  uint64_t total_bytes;
  uint64_t kept_in_file;
  char *ring;
  uint64_t ring_written;
  bool lost;
  /// Past the cap a stream is read at a bounded rate, so that a job cannot burn the shim's CPU: when to go on.
  uint64_t resume_at;
};

void shim_log_open(struct shim_log *log, int directory, const char *name, uint64_t cap_bytes);
/// Reads what the pipe holds. Closes it at end of file. `now` in microseconds.
void shim_log_drain(struct shim_log *log, uint64_t now);
/// Drains what is left, writes mark and tail, closes.
void shim_log_finish(struct shim_log *log);
bool shim_log_truncated(const struct shim_log *log);

/// The processes of a job, by its cgroup or, without one, by the pid namespace of its first process.
struct shim_group {
  const struct shim_orders *orders;
  pid_t sandbox;
  pid_t first;
  uint64_t namespace_inode;
  uint64_t measured_peak_bytes;
};

typedef void shim_visit(struct shim_group *group, pid_t pid, void *context);

/// Visits each process that is in the group now.
void shim_group_each(struct shim_group *group, shim_visit *visit, void *context);
bool shim_group_create(struct shim_group *group, char *message, size_t message_bytes);
/// Called by the child between fork and exec: joins every cgroup. Returns false when one refused.
bool shim_group_join(const struct shim_orders *orders);
bool shim_group_empty(struct shim_group *group);
void shim_group_kill(struct shim_group *group);
/// TERM to every process of the job but the sandbox's own two. Returns how many there were.
size_t shim_group_terminate(struct shim_group *group);
/// How many processes the kernel has killed in the cgroup for lack of memory.
uint64_t shim_group_oom_kills(const struct shim_group *group);
uint64_t shim_group_cpu_microseconds(const struct shim_group *group);
uint64_t shim_group_peak_bytes(const struct shim_group *group);
/// Without a cgroup: resident bytes and number of the job's processes.
void shim_group_measure(struct shim_group *group, uint64_t *resident_bytes, uint64_t *processes);
void shim_group_remove(const struct shim_group *group);
/// Learns the job's pid namespace once its first process is known.
void shim_group_set_first(struct shim_group *group, pid_t first);

/// Allocated bytes and entries below `out`, with the files that the group holds open there although they are
/// deleted. Returns false when the tree is deeper than the bound.
bool shim_measure_output(
    int directory, struct shim_group *group, uint64_t entry_limit, uint64_t *bytes, uint64_t *entries);

enum shim_reason {
  SHIM_RUNNING,
  SHIM_EXITED,
  SHIM_SIGNALLED,
  SHIM_WALL_LIMIT,
  SHIM_MEMORY_LIMIT,
  SHIM_DISK_LIMIT,
  SHIM_CANCELLED,
  SHIM_START_FAILED,
};

struct shim_record {
  const char *lease;
  enum shim_reason reason;
  int exit_code;  // -1: none
  int signal;     // 0: none
  uint64_t started_microseconds;
  uint64_t ended_microseconds;
  uint64_t cpu_microseconds;
  uint64_t peak_memory_bytes;
  uint64_t stdout_bytes;
  uint64_t stderr_bytes;
  bool stdout_truncated;
  bool stderr_truncated;
  char message[SHIM_MESSAGE_BYTES];
};

/// Writes `exit.json` durably: temporary name, fsync, rename, fsync of the directory.
bool shim_write_record(int directory, const struct shim_record *record);
/// Writes `shim.json`: who this shim is, for a daemon that comes back.
bool shim_write_identity(int directory, const struct shim_orders *orders);

/// Reads a small file whole and ends it with NUL. Returns the length or -1.
ssize_t shim_read_file(int directory, const char *path, char *buffer, size_t capacity);
/// Writes `value` into an existing file. Returns 0 or -errno.
int shim_write_value(const char *path, const char *value);

#endif
