// TUN devices: whole IP packets instead of a wire.
#ifndef LINNET_TUN_H
#define LINNET_TUN_H

/// Makes a TUN device: what its host sends is read from the descriptor, what is written to it is received by the host,
/// an IP packet at a time and nothing before it. Non-blocking and close-on-exec; the device is gone when the descriptor
/// is closed, into whichever network namespace it was moved. Returns the descriptor or -errno.
int linnet_tun_open(const char *name);

#endif
