// Questions to the host's resolver that getaddrinfo(3) can't ask.
#ifndef LINNET_DNS_H
#define LINNET_DNS_H

#include <stddef.h>
#include <stdint.h>

/// res_nquery(3): asks for the TXT records of a name, as /etc/resolv.conf says, and waits for the answer.
///
/// Returns the bytes of the answer, a DNS message (RFC 1035, section 4) of at most `size` bytes, or -1.
long linnet_dns_txt(const char *name, uint8_t *answer, size_t size);

#endif
