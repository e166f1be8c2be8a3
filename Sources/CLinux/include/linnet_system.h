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

/// sched_setattr(2) for the calling thread: SCHED_BATCH, nicer by 10, and a slice of 20 ms, so that every thread of ordinary
/// priority that wakes takes its processor at once (Linux 6.12; before that the slice is ignored). Returns 0 or -errno.
int linnet_yield_to_others(void);

#endif
