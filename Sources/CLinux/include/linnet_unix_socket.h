// What glibc offers of Unix sockets to GNU sources alone.
#ifndef LINNET_UNIX_SOCKET_H
#define LINNET_UNIX_SOCKET_H

#include <sys/types.h>

/// accept4(2), non-blocking and close-on-exec. Returns the descriptor or -errno.
int linnet_accept(int listener);

/// The process that listens at, or connected to, the other end (SO_PEERCRED). Returns its id or -errno.
pid_t linnet_peer_process(int connection);

#endif
