#include "linnet_datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static long send_message(int descriptor, const struct msghdr *message) {
  ssize_t sent;
  do sent = sendmsg(descriptor, message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

static void add_control(struct msghdr *message, int level, int type, const void *value, size_t count) {
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(count);
  memcpy(CMSG_DATA(header), value, count);
}

long linnet_send_datagram(int descriptor, const void *bytes, size_t count, const uint8_t *ip, size_t ip_count,
                          uint16_t port, unsigned int interface, const uint8_t *source) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  // The longer of the two, aligned as the header of a control message must be.
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
  } control;
  memset(&control, 0, sizeof(control));
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  int is_chosen = interface != 0 || source != NULL;
  if (is_chosen) message.msg_control = &control;

  if (ip_count == 4) {
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&target.sin_addr, ip, 4);
    message.msg_name = &target;
    message.msg_namelen = sizeof(target);
    if (is_chosen) {
      struct in_pktinfo info = {.ipi_ifindex = (int)interface};
      if (source != NULL) memcpy(&info.ipi_spec_dst, source, 4);
      message.msg_controllen = CMSG_SPACE(sizeof(info));
      add_control(&message, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }
    return send_message(descriptor, &message);
  }
  if (ip_count == 16) {
    struct sockaddr_in6 target = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = interface};
    memcpy(&target.sin6_addr, ip, 16);
    message.msg_name = &target;
    message.msg_namelen = sizeof(target);
    if (is_chosen) {
      struct in6_pktinfo info = {.ipi6_ifindex = interface};
      if (source != NULL) memcpy(&info.ipi6_addr, source, 16);
      message.msg_controllen = CMSG_SPACE(sizeof(info));
      add_control(&message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    return send_message(descriptor, &message);
  }
  return -EAFNOSUPPORT;
}
