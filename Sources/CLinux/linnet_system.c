#include "linnet_system.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int linnet_open(const char *path, int flags, unsigned int mode) {
  int descriptor = open(path, flags | O_CLOEXEC, (mode_t)mode);
  return descriptor < 0 ? -errno : descriptor;
}

int linnet_lock_file(int descriptor) {
  return flock(descriptor, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

int linnet_pidfd_open(pid_t pid) {
  long result = syscall(SYS_pidfd_open, pid, 0);
  return result < 0 ? -errno : (int)result;
}

int linnet_yield_to_others(void) {
  errno = 0;
  int nice = getpriority(PRIO_PROCESS, 0);
  if (errno != 0) return -errno;
  // struct sched_attr, version 0 (linux/sched/types.h, which old headers lack).
  struct {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
  } attributes = {
      .size = sizeof(attributes), .policy = SCHED_BATCH, .nice = nice > 9 ? 19 : nice + 10, .runtime = 20 * 1000 * 1000};
  long result = syscall(SYS_sched_setattr, 0, &attributes, 0);
  return result < 0 ? -errno : 0;
}

int linnet_pidfd_send_signal(int pidfd, int signal) {
  long result = syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
  return result < 0 ? -errno : 0;
}
