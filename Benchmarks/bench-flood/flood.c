// Sends UDP datagrams over IPv4 at a steady rate, each from wherever it likes, and prints how many it sent in each second.
//
// bench-flood PAYLOADS TARGET PORT RATE SECONDS [SOURCE]
//   PAYLOADS: a file, each payload behind its length (16 bits, little-endian); they are sent in turn, over and over
//   SOURCE: ADDRESS:PORT of all; without it every datagram comes from another of 65,024 addresses in 10.200.0.0/16
//
// A program of C because it shares the processors with what it floods: an interpreter would take one for itself. Meant for
// a network namespace that was made for it (Benchmarks/flood.py).

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, MOST_PAYLOADS = 65536, MOST_BYTES = 1472 };

struct header {
  struct iphdr ip;
  struct udphdr udp;
};

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "bench-flood: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

// xorshift64 (Marsaglia, 2003).
static uint64_t next(void) {
  static uint64_t state = 88172645463325252ull;
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static int read_payloads(const char *path, struct iovec *payloads) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail(path);
  int count = 0;
  uint8_t length[2];
  while (count < MOST_PAYLOADS && fread(length, 1, 2, file) == 2) {
    struct iovec *payload = &payloads[count++];
    payload->iov_len = (size_t)(length[0] | length[1] << 8);
    payload->iov_base = malloc(payload->iov_len + 1);
    if (payload->iov_len > MOST_BYTES || payload->iov_base == NULL
        || fread(payload->iov_base, 1, payload->iov_len, file) != payload->iov_len)
      fail(path);
  }
  fclose(file);
  if (count == 0) fail(path);
  return count;
}

int main(int count, char **words) {
  if (count < 6) {
    fputs("usage: bench-flood PAYLOADS TARGET PORT RATE SECONDS [SOURCE]\n", stderr);
    return 2;
  }
  static struct iovec payloads[MOST_PAYLOADS];
  int payload_count = read_payloads(words[1], payloads);
  struct sockaddr_in target = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, words[2], &target.sin_addr) != 1) fail(words[2]);
  uint16_t port = (uint16_t)atoi(words[3]);
  double rate = atof(words[4]), seconds = atof(words[5]);
  struct in_addr source = {0};
  uint16_t source_port = 0;
  if (count > 6) {
    char *colon = strchr(words[6], ':');
    if (colon == NULL) fail(words[6]);
    *colon = 0;
    if (inet_pton(AF_INET, words[6], &source) != 1) fail(words[6]);
    source_port = (uint16_t)atoi(colon + 1);
  }
  int raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (raw < 0) fail("a raw socket");

  struct header headers[BATCH];
  struct iovec parts[BATCH][2];
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  double started = now(), second = started + 1, passed;
  long due_before = 0, sent = 0, sent_in_second = 0, refused = 0, index = 0;
  while ((passed = now() - started) < seconds) {
    if (now() >= second) {
      printf("%ld\n", sent_in_second);
      fflush(stdout);
      sent_in_second = 0;
      second += 1;
    }
    // What was not sent within a tenth of a second is not made up for: that would be a burst.
    long due = (long)(passed * rate);
    if (due - due_before > rate / 10) due_before = due - (long)(rate / 10);
    if (due <= due_before) {
      // Spinning until the next is due would take a thread from the nodes; at 50,000 a second 25 are due after this.
      struct timespec pause = {.tv_nsec = 500000};
      nanosleep(&pause, NULL);
      continue;
    }
    unsigned batch = due - due_before < BATCH ? (unsigned)(due - due_before) : BATCH;
    for (unsigned slot = 0; slot < batch; slot++) {
      struct iovec *payload = &payloads[index++ % payload_count];
      struct header *header = &headers[slot];
      memset(header, 0, sizeof *header);
      uint64_t drawn = next();
      uint32_t from = 10u << 24 | 200u << 16 | (uint32_t)(drawn >> 8 & 255) << 8 | (uint32_t)(1 + drawn % 254);
      // The kernel fills in the checksum of the header; UDP goes without one over IPv4.
      header->ip = (struct iphdr){
        .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .daddr = target.sin_addr.s_addr,
        .saddr = source_port ? source.s_addr : htonl(from), .tot_len = htons(sizeof *header + payload->iov_len)};
      header->udp.source = htons(source_port ? source_port : (uint16_t)(1024 + (drawn >> 16) % 60000));
      header->udp.dest = htons(port);
      header->udp.len = htons(sizeof header->udp + payload->iov_len);
      parts[slot][0] = (struct iovec){.iov_base = header, .iov_len = sizeof *header};
      parts[slot][1] = *payload;
      messages[slot].msg_hdr = (struct msghdr){
        .msg_name = &target, .msg_namelen = sizeof target, .msg_iov = parts[slot], .msg_iovlen = 2};
    }
    int taken = sendmmsg(raw, messages, batch, 0);
    if (taken < 0) {
      refused++;
      taken = 1;
    } else {
      sent += taken;
      sent_in_second += taken;
    }
    due_before += taken;
  }
  printf("sent %ld in %.2f s, refused by the kernel %ld\n", sent, passed, refused);
  return 0;
}
