#include "linnet_program_code.h"

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

// The first object that dl_iterate_phdr(3) names is the program itself. Shared libraries are left: they are small, and
// other programs' pages too.
static int drop_first(struct dl_phdr_info *object, size_t size, void *result) {
  (void)size;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (int index = 0; index < object->dlpi_phnum; index++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[index];
    // A part that can be written has content that no file has.
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || (part->p_flags & PF_W)) {
      continue;
    }
    size_t start = ((size_t)object->dlpi_addr + part->p_vaddr + page - 1) / page * page;
    size_t end = ((size_t)object->dlpi_addr + part->p_vaddr + part->p_memsz) / page * page;
    if (start < end && madvise((void *)start, end - start, MADV_DONTNEED) != 0) {
      *(int *)result = -errno;
    }
  }
  return 1;
}

int linnet_drop_program_code(void) {
  int result = 0;
  dl_iterate_phdr(drop_first, &result);
  return result;
}
