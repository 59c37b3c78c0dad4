/*
 * Preloaded into a daemon under test: moves its wall clock, has its disk fail, records what it writes.
 *
 * CTL_TEST_CLOCK=file   the file holds seconds that are added to the wall clock (and to no other clock)
 * CTL_TEST_DISK=file    the file holds "full" (writes below the root fail with ENOSPC), "eio" (syncs fail with EIO) or
 *                       nothing; read again at each call
 * CTL_TEST_TRACE=file   every write, sync and change of names below the root is appended to it (see powerloss.py)
 * CTL_TEST_ROOT=dir     the root: files elsewhere are left alone
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int read_file(const char *path, char *text, size_t size) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    ssize_t got = syscall(SYS_read, fd, text, size - 1);
    syscall(SYS_close, fd);
    if (got < 0) got = 0;
    text[got] = 0;
    return 0;
}

static int below_root(const char *path) {
    const char *root = variable("CTL_TEST_ROOT");
    return root && path[0] == '/' && strncmp(path, root, strlen(root)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (got <= 0) return 0;
    path[got] = 0;
    return below_root(path);
}

/* -- the clock */

static long offset_seconds(void) {
    static __thread long offset, read_at = -1;
    const char *path = variable("CTL_TEST_CLOCK");
    if (!path) return 0;
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    long tick = now.tv_sec * 20 + now.tv_nsec / 50000000;
    if (tick != read_at) {
        char text[64];
        int saved = errno;
        offset = read_file(path, text, sizeof text) == 0 ? atol(text) : 0;
        errno = saved;
        read_at = tick;
    }
    return offset;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = (int)syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset_seconds();
    return done;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec fine;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &fine) != 0) return -1;
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

/* -- the disk that fails */

static int disk_is(const char *what) {
    const char *path = variable("CTL_TEST_DISK");
    char text[64];
    int saved = errno;
    int yes = path && read_file(path, text, sizeof text) == 0 && strncmp(text, what, strlen(what)) == 0;
    errno = saved;
    return yes;
}

static int refuses(int fd) {
    char path[PATH_MAX];
    if (variable("CTL_TEST_DISK") && path_of(fd, path) && disk_is("full")) {
        errno = ENOSPC;
        return 1;
    }
    return 0;
}

/* -- the record: kind u8, time u64 (ns), inode u64, a u64, b u64, length u32, and so many bytes */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct __attribute__((packed)) entry {
    uint8_t kind;
    uint64_t at, inode, a, b;
    uint32_t length;
};

static void record(char kind, uint64_t inode, uint64_t a, uint64_t b, const void *data, size_t length) {
    static int out = -1;
    int saved = errno;
    pthread_mutex_lock(&lock);
    if (out < 0) out = (int)syscall(SYS_openat, AT_FDCWD, variable("CTL_TEST_TRACE"),
                                    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    struct entry head = {(uint8_t)kind, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, inode, a, b,
                         (uint32_t)length};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
    if (syscall(SYS_writev, out, parts, 2) < 0) abort();
    pthread_mutex_unlock(&lock);
    errno = saved;
}

static int traced(int fd, char *path, struct stat *info) {
    return variable("CTL_TEST_TRACE") && path_of(fd, path) && fstat(fd, info) == 0;
}

static int is_shared_memory(const char *path) {
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, "-shm") == 0;
}

static void wrote(int fd, const void *data, ssize_t length, off_t offset) {
    char path[PATH_MAX];
    struct stat info;
    if (length > 0 && traced(fd, path, &info) && S_ISREG(info.st_mode) && !is_shared_memory(path))
        record('W', info.st_ino, (uint64_t)offset, 0, data, (size_t)length);
}

ssize_t write(int fd, const void *data, size_t length) {
    if (fd > 2 && refuses(fd)) return -1;
    ssize_t done = REAL(write)(fd, data, length);
    if (done > 0 && fd > 2 && variable("CTL_TEST_TRACE")) {
        off_t end = lseek(fd, 0, SEEK_CUR);
        if (end >= done) wrote(fd, data, done, end - done);
    }
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    if (refuses(fd)) return -1;
    ssize_t done = REAL(pwrite)(fd, data, length, offset);
    wrote(fd, data, done, offset);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return pwrite(fd, data, length, offset); }

int ftruncate(int fd, off_t size) {
    char path[PATH_MAX];
    struct stat info;
    int done = REAL(ftruncate)(fd, size);
    if (done == 0 && traced(fd, path, &info) && !is_shared_memory(path))
        record('T', info.st_ino, (uint64_t)size, 0, NULL, 0);
    return done;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static int synced(int fd, const char *name) {
    char path[PATH_MAX];
    struct stat info;
    if (variable("CTL_TEST_DISK") && path_of(fd, path) && disk_is("eio")) {
        errno = EIO;
        return -1;
    }
    int done = ((int (*)(int))real(name))(fd);
    if (done == 0 && traced(fd, path, &info))
        record(S_ISDIR(info.st_mode) ? 'D' : 'S', info.st_ino, 0, 0, path, strlen(path));
    return done;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

/* names: 'L' inode path (it exists now), 'R' old NUL new, 'U' path */

static int full_path(int dir, const char *name, char *path) {
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else if (dir == AT_FDCWD) {
        if (!getcwd(path, PATH_MAX - 1)) return 0;
        snprintf(path + strlen(path), PATH_MAX - strlen(path), "/%s", name);
    } else {
        if (!path_of(dir, path)) return 0;
        snprintf(path + strlen(path), PATH_MAX - strlen(path), "/%s", name);
    }
    return below_root(path);
}

static int opened(int dir, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat info;
    int fresh = 0;
    if ((flags & O_CREAT) && variable("CTL_TEST_TRACE") && full_path(dir, name, path))
        fresh = fstatat(AT_FDCWD, path, &info, AT_SYMLINK_NOFOLLOW) != 0 && !is_shared_memory(path);
    int fd = (int)syscall(SYS_openat, dir, name, flags, mode);
    if (fd >= 0 && fresh && fstat(fd, &info) == 0) record('L', info.st_ino, 0, 0, path, strlen(path));
    if (fd >= 0 && (flags & O_TRUNC) && variable("CTL_TEST_TRACE") && full_path(dir, name, path) && fstat(fd, &info) == 0)
        record('T', info.st_ino, 0, 0, NULL, 0);
    return fd;
}

#define OPEN(name, dir_parameter, dir)                                   \
    int name(dir_parameter const char *path, int flags, ...) {           \
        va_list more;                                                    \
        va_start(more, flags);                                           \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                    \
        return opened(dir, path, flags, mode);                           \
    }
#define NO_DIRECTORY
#define DIRECTORY int directory,
OPEN(open, NO_DIRECTORY, AT_FDCWD)
OPEN(open64, NO_DIRECTORY, AT_FDCWD)
OPEN(openat, DIRECTORY, directory)
OPEN(openat64, DIRECTORY, directory)

static void renamed(char kind, int from_dir, const char *from, int to_dir, const char *to) {
    char pair[2 * PATH_MAX], other[PATH_MAX];
    if (!variable("CTL_TEST_TRACE") || !full_path(from_dir, from, pair) || !full_path(to_dir, to, other)) return;
    size_t length = strlen(pair) + 1;
    strcpy(pair + length, other);
    record(kind, 0, 0, 0, pair, length + strlen(other));
}

int rename(const char *from, const char *to) {
    int done = REAL(rename)(from, to);
    if (done == 0) renamed('R', AT_FDCWD, from, AT_FDCWD, to);
    return done;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    int done = REAL(renameat)(from_dir, from, to_dir, to);
    if (done == 0) renamed('R', from_dir, from, to_dir, to);
    return done;
}

int link(const char *from, const char *to) {
    int done = REAL(link)(from, to);
    if (done == 0) renamed('K', AT_FDCWD, from, AT_FDCWD, to);
    return done;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    int done = REAL(linkat)(from_dir, from, to_dir, to, flags);
    if (done == 0) renamed('K', from_dir, from, to_dir, to);
    return done;
}

static void removed(int dir, const char *name) {
    char path[PATH_MAX];
    if (variable("CTL_TEST_TRACE") && full_path(dir, name, path)) record('U', 0, 0, 0, path, strlen(path));
}

int unlink(const char *name) {
    int done = REAL(unlink)(name);
    if (done == 0) removed(AT_FDCWD, name);
    return done;
}

int unlinkat(int dir, const char *name, int flags) {
    int done = REAL(unlinkat)(dir, name, flags);
    if (done == 0) removed(dir, name);
    return done;
}
