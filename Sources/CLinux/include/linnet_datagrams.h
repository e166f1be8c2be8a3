// Datagrams whose way out is chosen by the sender.
#ifndef LINNET_DATAGRAMS_H
#define LINNET_DATAGRAMS_H

#include <stddef.h>
#include <stdint.h>

/// sendmsg(2) of one datagram to `ip`, of 4 or 16 bytes as the socket's family has it.
///
/// `interface` is the index of the one that it leaves by (IP_PKTINFO, IPV6_PKTINFO), and 0 for the routing table's choice.
/// `source`, as long as `ip`, is the local address that it leaves from, and NULL for the kernel's choice.
/// Returns the bytes sent or -errno.
long linnet_send_datagram(int descriptor, const void *bytes, size_t count, const uint8_t *ip, size_t ip_count,
                          uint16_t port, unsigned int interface, const uint8_t *source);

#endif
