#include <seccomp.h>
#include <sys/syscall.h>
