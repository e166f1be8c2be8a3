// epoll(7), with timeouts of nanoseconds.
#ifndef LINNET_POLLER_H
#define LINNET_POLLER_H

#include <stdint.h>

/// epoll_create1(2), close-on-exec. Returns the descriptor or -errno.
int linnet_poller_open(void);

/// Watches `descriptor` for reading, and for writing too when `for_writing` is not 0; a descriptor that is watched
/// already changes to that. It is forgotten when it is closed. Returns 0 or -errno.
int linnet_poller_watch(int poller, int descriptor, int for_writing);

/// Watches a descriptor no longer that stays open. Returns 0 or -errno.
int linnet_poller_forget(int poller, int descriptor);

/// Waits until something is ready, or `timeout_nanoseconds` have passed (negative: for ever), and puts up to `capacity`
/// descriptors that are ready, or broken, into `ready`. Returns how many, 0 after a signal too, or -errno.
int linnet_poller_wait(int poller, int *ready, int capacity, int64_t timeout_nanoseconds);

#endif
