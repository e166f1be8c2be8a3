// Raw and variadic calls that Swift cannot make directly.
#ifndef LINNET_SYSTEM_H
#define LINNET_SYSTEM_H

#include <sys/types.h>

/// open(2) with a mode, close-on-exec always set. Returns the descriptor or -errno.
int linnet_open(const char *path, int flags, unsigned int mode);

/// flock(2) LOCK_EX|LOCK_NB. Returns 0 or -errno.
int linnet_lock_file(int descriptor);

/// pidfd_open(2). Returns the descriptor or -errno.
int linnet_pidfd_open(pid_t pid);

/// pidfd_send_signal(2). Returns 0 or -errno.
int linnet_pidfd_send_signal(int pidfd, int signal);

#endif
