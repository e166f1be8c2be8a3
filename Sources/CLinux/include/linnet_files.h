// Safe ways into directories that a stranger filled.
#ifndef LINNET_FILES_H
#define LINNET_FILES_H

/// openat2(2) below `directory`, which the path must not leave, over no symbolic link and into no other file system
/// (RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS, NO_XDEV). Close-on-exec. Returns the descriptor or -errno.
int linnet_open_beneath(int directory, const char *path, int flags);

/// Whether `path`, links followed, leads to something below `directory` without ever leaving it. Returns 0 or -errno.
int linnet_reaches_beneath(int directory, const char *path);

#endif
