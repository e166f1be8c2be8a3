// The pages of the running program's code.
#ifndef LINNET_PROGRAM_CODE_H
#define LINNET_PROGRAM_CODE_H

/// Unmaps the pages of the program's own code (madvise(2) MADV_DONTNEED): what only the start needed stays away, and what is
/// called again comes back from the page cache at once. Returns 0 or -errno.
int linnet_drop_program_code(void);

#endif
