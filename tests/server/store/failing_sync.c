/* Loaded into a process before the C library: while the file that SYNC_FAILS names exists, nothing
   can be forced to the disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int forced(const char *name, int file)
{
    const char *flag = getenv("SYNC_FAILS");
    if (flag != NULL && access(flag, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(file);
}

int fsync(int file) { return forced("fsync", file); }
int fdatasync(int file) { return forced("fdatasync", file); }
