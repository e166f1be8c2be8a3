#include "linnet_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_resolved(int directory, const char *path, int flags, unsigned long long resolve) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = (unsigned int)(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV | resolve;
  long result = syscall(SYS_openat2, directory, path, &how, sizeof how);
  return result < 0 ? -errno : (int)result;
}

int linnet_open_beneath(int directory, const char *path, int flags) {
  return open_resolved(directory, path, flags, RESOLVE_NO_SYMLINKS);
}

int linnet_reaches_beneath(int directory, const char *path) {
  int descriptor = open_resolved(directory, path, O_PATH, 0);
  if (descriptor < 0) return descriptor;
  close(descriptor);
  return 0;
}
