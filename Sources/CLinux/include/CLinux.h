// What Swift cannot call: one header a topic. Add a topic by adding its header here.
#ifndef LINNET_CLINUX_H
#define LINNET_CLINUX_H

#include "linnet_datagrams.h"
#include "linnet_descriptors.h"
#include "linnet_dns.h"
#include "linnet_files.h"
#include "linnet_poller.h"
#include "linnet_probe_child.h"
#include "linnet_program_code.h"
#include "linnet_system.h"
#include "linnet_tun.h"
#include "linnet_unix_socket.h"

#endif
