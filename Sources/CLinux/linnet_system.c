#include "linnet_system.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
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

int linnet_pidfd_send_signal(int pidfd, int signal) {
  long result = syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
  return result < 0 ? -errno : 0;
}
