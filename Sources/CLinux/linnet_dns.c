#include "linnet_dns.h"

#include <limits.h>
#include <resolv.h>
#include <string.h>

// RFC 1035, sections 3.2.2 and 3.2.4.
enum { class_internet = 1, type_txt = 16 };

long linnet_dns_txt(const char *name, uint8_t *answer, size_t size) {
  // A state of its own: the one that res_query(3) shares belongs to a thread.
  struct __res_state state;
  memset(&state, 0, sizeof state);
  if (size > INT_MAX || res_ninit(&state) != 0) return -1;
  int count = res_nquery(&state, name, class_internet, type_txt, answer, (int)size);
  res_nclose(&state);
  // The length is that of the whole answer, also where it did not fit.
  return count < 0 || (size_t)count > size ? -1 : count;
}
