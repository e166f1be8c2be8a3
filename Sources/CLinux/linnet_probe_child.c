#include "linnet_probe_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

extern char **environ;

static int spawn(const char *program, char *const arguments[], int output, pid_t *child) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int code = posix_spawn_file_actions_init(&actions);
  if (code != 0) return code;
  code = posix_spawnattr_init(&attributes);
  if (code != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return code;
  }
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  code = posix_spawn_file_actions_adddup2(&actions, output, 1);
  if (!code) code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!code) code = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  // The daemon's sockets and journal are no business of a vendor's library.
  if (!code) code = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  if (!code) code = posix_spawnattr_setsigmask(&attributes, &none);
  if (!code) code = posix_spawnattr_setsigdefault(&attributes, &all);
  if (!code) code = posix_spawnattr_setpgroup(&attributes, 0);
  if (!code)
    code = posix_spawnattr_setflags(&attributes,
                                    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  if (!code) code = posix_spawn(child, program, &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return code;
}

pid_t linnet_spawn_probe(const char *program, char *const arguments[], int *output) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
  // A daemon that was started with a closed standard stream gets it here; the file actions would overwrite it.
  if (ends[1] <= 2) {
    int moved = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    int code = errno;
    close(ends[1]);
    if (moved < 0) {
      close(ends[0]);
      return -code;
    }
    ends[1] = moved;
  }
  pid_t child = -1;
  int code = spawn(program, arguments, ends[1], &child);
  close(ends[1]);
  if (code != 0) {
    close(ends[0]);
    return -code;
  }
  *output = ends[0];
  return child;
}

int linnet_device_of(const char *path, unsigned int *major_number, unsigned int *minor_number) {
  struct stat status;
  if (stat(path, &status) != 0) return -errno;
  *major_number = major(status.st_dev);
  *minor_number = minor(status.st_dev);
  return 0;
}
