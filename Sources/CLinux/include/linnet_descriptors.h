// Descriptors of the kernel's own making. All close-on-exec.
#ifndef LINNET_DESCRIPTORS_H
#define LINNET_DESCRIPTORS_H

/// memfd_create(2): an anonymous file in memory. Returns the descriptor or -errno.
int linnet_memory_file(const char *name);

/// eventfd(2), non-blocking: readable after 8 bytes were written to it. Returns the descriptor or -errno.
int linnet_event_descriptor(void);

#endif
