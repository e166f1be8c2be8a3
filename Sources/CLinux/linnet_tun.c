#include "linnet_tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int linnet_tun_open(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  size_t length = strlen(name);
  if (length == 0 || length >= sizeof(request.ifr_name)) return -EINVAL;
  memcpy(request.ifr_name, name, length);
  int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return -errno;
  if (ioctl(descriptor, TUNSETIFF, &request) < 0) {
    int error = errno;
    close(descriptor);
    return -error;
  }
  return descriptor;
}
