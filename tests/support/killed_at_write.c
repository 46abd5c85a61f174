/* Loaded before a program's libraries (LD_PRELOAD): kills the process at the n-th step of what it writes.

   A step is half of a write or of a message to a socket, and then the whole of it; and each request to the disk, before
   and after it. `lanman_arm` says how many steps are left, and which descriptor does not count. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long left = 0, taken = 0;
static int not_this = -1;

void lanman_arm(long steps, int descriptor) { left = steps; taken = 0; not_this = descriptor; }
long lanman_steps(void) { return taken; }

static int step(void) {
    taken++;
    return left > 0 && --left == 0;
}

static void die(void) { kill(getpid(), SIGKILL); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRITES(name, parameters, half, whole) \
    ssize_t name parameters { \
        __typeof__(&name) real = REAL(name); \
        if (fd == not_this || size <= 1) return real whole; \
        if (step()) { real half; die(); } \
        ssize_t done = real whole; \
        if (step()) die(); \
        return done; \
    }

WRITES(write, (int fd, const void *data, size_t size), (fd, data, size / 2), (fd, data, size))
WRITES(pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size / 2, at), (fd, data, size, at))
WRITES(pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size / 2, at), (fd, data, size, at))
WRITES(send, (int fd, const void *data, size_t size, int flags), (fd, data, size / 2, flags), (fd, data, size, flags))

#define ASKS(name, parameters, arguments) \
    int name parameters { \
        __typeof__(&name) real = REAL(name); \
        if (step()) die(); \
        int done = real arguments; \
        if (step()) die(); \
        return done; \
    }

ASKS(fsync, (int fd), (fd))
ASKS(fdatasync, (int fd), (fd))
ASKS(ftruncate, (int fd, off_t size), (fd, size))
ASKS(ftruncate64, (int fd, off64_t size), (fd, size))
ASKS(unlink, (const char *path), (path))
