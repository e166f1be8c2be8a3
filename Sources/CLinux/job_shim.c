#include "job_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const uint64_t tick_microseconds = 100000;
static const uint64_t rekill_microseconds = 50000;
/// A process in uninterruptible sleep cannot be killed; past this its job is recorded all the same.
static const uint64_t give_up_microseconds = 60000000;
/// A walk of the output may take this share of the shim's time at most: one in so many.
static const uint64_t measure_share = 20;

/// Descriptors of the child at exec, below those that are closed.
enum { CHILD_OPTIONS = 3, CHILD_FILTER = 4, CHILD_STATUS = 5, CHILD_FIRST_CLOSED = 6 };

struct shim {
  int directory;
  struct shim_orders orders;
  struct shim_group group;
  struct shim_log out;
  struct shim_log err;
  struct shim_record record;
  int signals;
  int status_pipe;
  char status_text[4096];
  size_t status_length;
  /// The command's exit code as the sandbox reports it, or -1: without it the command never started.
  int reported_exit;
  bool sandbox_ended;
  int sandbox_status;
  uint64_t wall_deadline;
  uint64_t kill_deadline;  // 0: no stop was asked for
  /// TERM is still to be sent: when the stop was asked for the command did not run yet.
  bool terminate_later;
  uint64_t killed_at;  // 0: not killed
  uint64_t next_measure;
};

static struct shim shim;

static uint64_t clock_microseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t now_microseconds(void) { return clock_microseconds(CLOCK_BOOTTIME); }

static uint64_t after(uint64_t start, uint64_t span) {
  return span > UINT64_MAX - start ? UINT64_MAX : start + span;
}

static void describe(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void describe(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(shim.record.message, sizeof shim.record.message, format, arguments);
  va_end(arguments);
}

static void finish_record(void) __attribute__((noreturn));
static void finish_record(void) {
  shim.record.ended_microseconds = clock_microseconds(CLOCK_REALTIME);
  _exit(shim_write_record(shim.directory, &shim.record) ? 0 : 1);
}

/// Above the numbers that the child gives a meaning to, so that a dup2 never overwrites a source.
static int lift(int descriptor) {
  if (descriptor < 0) return descriptor;
  int lifted = fcntl(descriptor, F_DUPFD_CLOEXEC, 16);
  int saved = errno;
  close(descriptor);
  errno = saved;
  return lifted;
}

static bool lifted_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  ends[0] = lift(ends[0]);
  ends[1] = lift(ends[1]);
  return ends[0] >= 0 && ends[1] >= 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

static void limit(int resource, uint64_t value) {
  struct rlimit current;
  if (getrlimit(resource, &current) < 0) return;
  if (current.rlim_max != RLIM_INFINITY && value > current.rlim_max) value = current.rlim_max;
  struct rlimit limit = {value, value};
  setrlimit(resource, &limit);
}

static void run_child(int options, int filter, int status, int out, int err) __attribute__((noreturn));
static void run_child(int options, int filter, int status, int out, int err) {
  // In its cgroup before it is anything else, so that nothing of the job is ever outside.
  if (!shim_group_join(&shim.orders)) {
    dprintf(err, "cannot enter the job's cgroup\n");
    _exit(125);
  }
  int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score >= 0) {
    // When the host itself runs out of memory, jobs go before the daemon and its shims.
    ssize_t ignored = write(score, "500", 3);
    (void)ignored;
    close(score);
  }
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, 65536);
  if (shim.orders.disk_bytes > 0) limit(RLIMIT_FSIZE, shim.orders.disk_bytes);
  umask(022);
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(out, 1);
  dup2(err, 2);
  dup2(options, CHILD_OPTIONS);
  dup2(filter, CHILD_FILTER);
  dup2(status, CHILD_STATUS);
  syscall(SYS_close_range, CHILD_FIRST_CLOSED, ~0U, 0);

  static const char *argv[SHIM_MAXIMUM_ARGUMENTS + 8];
  size_t count = 0;
  argv[count++] = "bwrap";
  argv[count++] = "--args";
  argv[count++] = "3";
  argv[count++] = "--seccomp";
  argv[count++] = "4";
  argv[count++] = "--json-status-fd";
  argv[count++] = "5";
  for (size_t i = 0; i < shim.orders.argument_count; i++) argv[count++] = shim.orders.arguments[i];
  argv[count] = NULL;
  char *const environment[] = {NULL};
  execve(shim.orders.executable, (char *const *)argv, environment);
  dprintf(2, "cannot run %s: %s\n", shim.orders.executable, strerror(errno));
  _exit(125);
}

static bool start_sandbox(void) {
  int out[2], err[2], status[2];
  if (!lifted_pipe(out) || !lifted_pipe(err) || !lifted_pipe(status)) {
    describe("cannot make the job's pipes: %s", strerror(errno));
    return false;
  }
  int options = lift(open(shim.orders.options, O_RDONLY | O_CLOEXEC));
  int filter = lift(open(shim.orders.filter, O_RDONLY | O_CLOEXEC));
  if (options < 0 || filter < 0) {
    describe("cannot open the sandbox's options or its system call filter: %s", strerror(errno));
    return false;
  }
  pid_t child = fork();
  if (child < 0) {
    describe("cannot start a process for the job: %s", strerror(errno));
    return false;
  }
  if (child == 0) run_child(options, filter, status[1], out[1], err[1]);
  close(options);
  close(filter);
  close(out[1]);
  close(err[1]);
  close(status[1]);
  shim.group.sandbox = child;
  shim.out.pipe = out[0];
  shim.err.pipe = err[0];
  shim.status_pipe = status[0];
  return true;
}

static long status_number(const char *key) {
  const char *found = strstr(shim.status_text, key);
  return found == NULL ? -1 : strtol(found + strlen(key), NULL, 10);
}

static void read_status(void) {
  while (shim.status_pipe >= 0) {
    size_t room = sizeof shim.status_text - 1 - shim.status_length;
    if (room == 0) break;
    ssize_t count = read(shim.status_pipe, shim.status_text + shim.status_length, room);
    if (count > 0) {
      shim.status_length += (size_t)count;
      shim.status_text[shim.status_length] = 0;
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    close(shim.status_pipe);
    shim.status_pipe = -1;
  }
  if (shim.group.first == 0) {
    long first = status_number("\"child-pid\": ");
    if (first > 0) shim_group_set_first(&shim.group, (pid_t)first);
  }
  if (shim.reported_exit < 0) shim.reported_exit = (int)status_number("\"exit-code\": ");
}

static void kill_job(uint64_t now) {
  if (shim.killed_at == 0) shim.killed_at = now;
  shim_group_kill(&shim.group);
}

/// Ends the job for `reason`; the first reason stands. Without a grace it is killed at once.
static void stop(enum shim_reason reason, uint64_t now, uint64_t grace) {
  if (shim.record.reason == SHIM_RUNNING) shim.record.reason = reason;
  if (grace == 0) {
    kill_job(now);
    return;
  }
  if (shim.kill_deadline != 0) return;
  shim.kill_deadline = after(now, grace);
  shim.terminate_later = shim_group_terminate(&shim.group) == 0;
}

static void read_signals(uint64_t now) {
  struct signalfd_siginfo information;
  while (read(shim.signals, &information, sizeof information) == (ssize_t)sizeof information) {
    if (information.ssi_signo == SIGTERM) stop(SHIM_CANCELLED, now, shim.orders.grace_microseconds);
    if (information.ssi_signo == SIGQUIT) stop(SHIM_CANCELLED, now, 0);
  }
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) break;
    if (pid == shim.group.sandbox) {
      shim.sandbox_ended = true;
      shim.sandbox_status = status;
      // Reaped: from here on the number may be another process's.
      shim.group.sandbox = 0;
    }
  }
}

static void check_output(uint64_t now) {
  uint64_t bytes, entries;
  bool within = shim_measure_output(shim.directory, &shim.group, shim.orders.output_entries, &bytes, &entries);
  if (!within) {
    stop(SHIM_DISK_LIMIT, now, 0);
    describe("the job's output has directories nested deeper than %d", (int)SHIM_MAXIMUM_OUTPUT_DEPTH);
  } else if (bytes > shim.orders.disk_bytes) {
    stop(SHIM_DISK_LIMIT, now, 0);
    describe(
        "the job wrote %llu bytes to /out, more than its limit of %llu", (unsigned long long)bytes,
        (unsigned long long)shim.orders.disk_bytes);
  } else if (entries > shim.orders.output_entries) {
    stop(SHIM_DISK_LIMIT, now, 0);
    describe("the job made more than %llu files in /out", (unsigned long long)shim.orders.output_entries);
  }
  uint64_t spent = now_microseconds() - now;
  shim.next_measure = now + (spent * measure_share > tick_microseconds ? spent * measure_share : tick_microseconds);
}

static void check_limits(uint64_t now) {
  if (shim.killed_at != 0) {
    if (now - shim.killed_at > rekill_microseconds) shim_group_kill(&shim.group);
    return;
  }
  if (shim.terminate_later) shim.terminate_later = shim_group_terminate(&shim.group) == 0;
  if (shim.kill_deadline != 0 && now >= shim.kill_deadline) kill_job(now);
  if (now >= shim.wall_deadline) {
    if (shim.record.reason == SHIM_RUNNING) {
      describe("the job ran longer than its wall limit of %.3f s", (double)shim.orders.wall_microseconds / 1e6);
    }
    stop(SHIM_WALL_LIMIT, now, shim.orders.grace_microseconds);
  }
  if (shim_group_oom_kills(&shim.group) > 0) stop(SHIM_MEMORY_LIMIT, now, 0);
  if (shim.orders.cgroup_count == 0) {
    uint64_t resident, processes;
    shim_group_measure(&shim.group, &resident, &processes);
    if (resident > shim.orders.memory_bytes) stop(SHIM_MEMORY_LIMIT, now, 0);
    if (shim.orders.processes > 0 && processes > shim.orders.processes + 2) {
      describe("the job had more than its %llu processes", (unsigned long long)shim.orders.processes);
      stop(SHIM_MEMORY_LIMIT, now, 0);
    }
  }
  if (now >= shim.next_measure) check_output(now);
}

static int wait_milliseconds(uint64_t now) {
  uint64_t next = now + tick_microseconds;
  if (shim.killed_at != 0 || shim.terminate_later) next = now + 10000;
  uint64_t deadline = shim.kill_deadline != 0 ? shim.kill_deadline : shim.wall_deadline;
  if (shim.killed_at == 0 && deadline < next) next = deadline;
  if (shim.out.pipe >= 0 && shim.out.resume_at > now && shim.out.resume_at < next) next = shim.out.resume_at;
  if (shim.err.pipe >= 0 && shim.err.resume_at > now && shim.err.resume_at < next) next = shim.err.resume_at;
  // A deadline that has passed is acted on in the next round; 1 ms keeps that round from spinning.
  return next <= now ? 1 : (int)((next - now + 999) / 1000);
}

static void poll_once(void) {
  uint64_t now = now_microseconds();
  // A negative descriptor is skipped by poll: a closed pipe, or a stream that is read more slowly.
  struct pollfd polled[4] = {
      {shim.signals, POLLIN, 0},
      {shim.status_pipe, POLLIN, 0},
      {shim.out.resume_at > now ? -1 : shim.out.pipe, POLLIN, 0},
      {shim.err.resume_at > now ? -1 : shim.err.pipe, POLLIN, 0},
  };
  poll(polled, 4, wait_milliseconds(now));
  now = now_microseconds();
  if (polled[2].revents != 0) shim_log_drain(&shim.out, now);
  if (polled[3].revents != 0) shim_log_drain(&shim.err, now);
  if (polled[1].revents != 0) read_status();
  read_signals(now);
}

/// The job has ended when its cgroup is empty: what it left behind is killed, whatever it ignores.
static void end_group(void) {
  uint64_t start = now_microseconds();
  while (!shim_group_empty(&shim.group)) {
    uint64_t now = now_microseconds();
    if (now - start > give_up_microseconds) {
      describe("some of the job's processes could not be killed: they hang in the kernel");
      return;
    }
    kill_job(now);
    usleep(500);
    read_signals(now);
  }
}

static void quote_errors(char *text, size_t capacity) {
  if (shim_read_file(shim.directory, "stderr", text, capacity) < 0) text[0] = 0;
  size_t length = strlen(text);
  while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' ')) text[--length] = 0;
}

static void judge(void) {
  struct shim_record *record = &shim.record;
  if (shim.reported_exit >= 0) {
    record->exit_code = shim.reported_exit;
    // The sandbox reports a death by signal as shells do, 128 + number.
    if (shim.reported_exit > 128 && shim.reported_exit <= 192) record->signal = shim.reported_exit - 128;
  } else if (WIFSIGNALED(shim.sandbox_status)) {
    record->signal = WTERMSIG(shim.sandbox_status);
  }
  // Killed for lack of memory is the reason even where the job's first process ended by itself just then.
  if (record->reason == SHIM_RUNNING && shim_group_oom_kills(&shim.group) > 0) record->reason = SHIM_MEMORY_LIMIT;
  if (record->reason == SHIM_RUNNING) {
    if (shim.reported_exit >= 0) record->reason = record->signal > 0 ? SHIM_SIGNALLED : SHIM_EXITED;
    else record->reason = WIFSIGNALED(shim.sandbox_status) ? SHIM_SIGNALLED : SHIM_START_FAILED;
  }
  if (record->message[0] != 0) return;
  char errors[600];
  switch (record->reason) {
    case SHIM_SIGNALLED: describe("the job was ended by signal %d", record->signal); break;
    case SHIM_CANCELLED: describe("the job was cancelled"); break;
    case SHIM_MEMORY_LIMIT:
      describe(
          "the job needed more than its memory limit of %llu bytes", (unsigned long long)shim.orders.memory_bytes);
      break;
    case SHIM_START_FAILED:
      quote_errors(errors, sizeof errors);
      describe("the sandbox did not start: %s", errors[0] != 0 ? errors : "it gave no reason");
      break;
    default:
      if (record->exit_code == 127) describe("the command was not found, or it exited with code 127 itself");
      else describe("the job exited with code %d", record->exit_code);
  }
}

static void prepare(void) {
  // An unpredictable umask, terminal or handler of the daemon must not reach what the shim writes.
  setsid();
  if (chdir("/") < 0) _exit(1);
  umask(077);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  sigset_t handled;
  sigemptyset(&handled);
  sigaddset(&handled, SIGTERM);
  sigaddset(&handled, SIGQUIT);
  sigaddset(&handled, SIGCHLD);
  sigprocmask(SIG_SETMASK, &handled, NULL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "linnet-shim");
  shim.signals = signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC);
}

/// Descriptor 3 is the lock on the job's user id, which the daemon took: it is held as long as this process lives.
static void own_only_the_lock(void) {
  syscall(SYS_close_range, 4, ~0U, 0);
  fcntl(3, F_SETFD, FD_CLOEXEC);
}

static int run(const char *path) {
  own_only_the_lock();
  prepare();
  shim.status_pipe = -1;
  shim.reported_exit = -1;
  shim.record.exit_code = -1;
  shim.record.lease = "";
  shim.directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (shim.directory < 0) return 1;
  int lock = openat(shim.directory, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (lock < 0 || flock(lock, LOCK_EX) < 0) return 1;
  // A daemon that came back before this process got this far has already declared the job lost.
  if (faccessat(shim.directory, "exit.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0) return 0;

  shim.record.started_microseconds = clock_microseconds(CLOCK_REALTIME);
  uint64_t start = now_microseconds();
  bool understood =
      shim_read_orders(shim.directory, &shim.orders, shim.record.message, sizeof shim.record.message);
  shim.record.reason = SHIM_START_FAILED;
  if (shim.orders.lease != NULL) shim.record.lease = shim.orders.lease;
  if (!understood) finish_record();
  if (!shim_write_identity(shim.directory, &shim.orders)) {
    describe("the shim cannot write to the job's directory: %s", strerror(errno));
    finish_record();
  }
  shim.group.orders = &shim.orders;
  shim.wall_deadline = after(start, shim.orders.wall_microseconds);
  shim_log_open(&shim.out, shim.directory, "stdout", shim.orders.log_cap_bytes);
  shim_log_open(&shim.err, shim.directory, "stderr", shim.orders.log_cap_bytes);
  if (!shim_group_create(&shim.group, shim.record.message, sizeof shim.record.message) || !start_sandbox()) {
    shim_group_remove(&shim.group);
    finish_record();
  }
  shim.record.reason = SHIM_RUNNING;
  shim.next_measure = start + tick_microseconds;
  while (!shim.sandbox_ended) {
    poll_once();
    uint64_t now = now_microseconds();
    check_limits(now);
    if (shim.killed_at != 0 && now - shim.killed_at > give_up_microseconds) break;
  }
  read_status();
  end_group();
  shim_log_finish(&shim.out);
  shim_log_finish(&shim.err);
  if (shim.record.reason == SHIM_RUNNING && shim.orders.disk_bytes > 0) check_output(now_microseconds());
  judge();
  shim.record.cpu_microseconds = shim_group_cpu_microseconds(&shim.group);
  shim.record.peak_memory_bytes = shim_group_peak_bytes(&shim.group);
  shim.record.stdout_bytes = shim.out.total_bytes;
  shim.record.stderr_bytes = shim.err.total_bytes;
  shim.record.stdout_truncated = shim_log_truncated(&shim.out);
  shim.record.stderr_truncated = shim_log_truncated(&shim.err);
  shim_group_remove(&shim.group);
  finish_record();
}

/// Runs before the Swift runtime does anything, in every executable that links this target: glibc hands
/// a constructor the arguments of the process.
__attribute__((constructor)) static void enter_job_shim(int argc, char **argv, char **environment) {
  (void)environment;
  if (argc == 3 && strcmp(argv[1], "job-shim") == 0) _exit(run(argv[2]));
}
