/* Stands in for a file system that is frozen: while the file named by FREEZE_WHILE exists, what writes to a disk
   waits. Loaded before the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_while_frozen(void) {
  const char *flag = getenv("FREEZE_WHILE");
  while (flag && access(flag, F_OK) == 0) usleep(10000);
}

int fsync(int fd) {
  wait_while_frozen();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
  wait_while_frozen();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  wait_while_frozen();
  return ((ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64"))(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  wait_while_frozen();
  return ((ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite"))(fd, bytes, count, offset);
}
