// Starting the child of the hardware probe, and the numbers of a file's device.
#ifndef LINNET_PROBE_CHILD_H
#define LINNET_PROBE_CHILD_H

#include <sys/types.h>

/// Starts `program` with `arguments` (NULL-terminated, the first is its name) and this process's environment, in a
/// process group of its own, with default signals and no descriptors but /dev/null and a pipe for its output.
/// Returns its process id and puts the pipe's reading end into `output`, or returns -errno.
pid_t linnet_spawn_probe(const char *program, char *const arguments[], int *output);

/// The device that holds `path`. Returns 0 or -errno.
int linnet_device_of(const char *path, unsigned int *major_number, unsigned int *minor_number);

#endif
