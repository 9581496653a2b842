// What the Glibc module hides from Swift: declarations and static inlines only, no compiled C.
#ifndef HOLDFAST_CLINUX_H
#define HOLDFAST_CLINUX_H

#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <linux/stat.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// Declared by glibc only under _GNU_SOURCE, which Swift's importer does not set.
extern int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
extern int memfd_create(const char *name, unsigned int flags);
extern long syscall(long number, ...);
extern ssize_t tee(int from, int to, size_t length, unsigned int flags);

/// Pipes: numbers and flags that are hidden, too. The calls return -1 with errno on failure.
static const unsigned int clinux_splice_nonblock = 2;
extern int pipe2(int ends[2], int flags);
static inline int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }
static inline int clinux_set_pipe_size(int fd, int bytes) { return fcntl(fd, 1031 /* F_SETPIPE_SZ */, bytes); }
static inline int clinux_pipe_size(int fd) { return fcntl(fd, 1032 /* F_GETPIPE_SZ */); }
/// The number of bytes that can be read.
static inline int clinux_readable(int fd, int *count) { return ioctl(fd, FIONREAD, count); }

/// The peer of a Unix stream socket, as it was when it connected; struct ucred is hidden, too.
typedef struct {
    pid_t process;
    uid_t user;
    gid_t group;
} clinux_peer;

/// 0, or -1 with errno.
static inline int clinux_peer_of(int fd, clinux_peer *peer) {
    socklen_t length = sizeof *peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &length);
}

/// The peer's supplementary groups; returns their number, or -1 with errno (ERANGE: more than fit).
static inline int clinux_peer_groups(int fd, gid_t *groups, int room) {
    socklen_t length = (socklen_t)(room * (int)sizeof *groups);
    if (getsockopt(fd, SOL_SOCKET, 59 /* SO_PEERGROUPS */, groups, &length) != 0) return -1;
    return (int)(length / sizeof *groups);
}

/// Makes the kernel attach the sender's credentials to each datagram. 0, or -1 with errno.
static inline int clinux_pass_credentials(int fd) {
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, 16 /* SO_PASSCRED */, &on, sizeof on);
}

/// Receives a datagram with the address and the user of its sender, as the kernel knows them, without blocking. Returns
/// its whole length, which may exceed the buffer, or -1 with errno. Descriptors are not accepted; the kernel drops
/// them.
static inline ssize_t clinux_receive(int fd, void *bytes, size_t room, struct sockaddr_un *from, uid_t *user) {
    struct iovec piece = {.iov_base = bytes, .iov_len = room};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(clinux_peer))];
    } control;
    struct msghdr message = {.msg_name = from, .msg_namelen = sizeof *from, .msg_iov = &piece, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control};
    memset(from, 0, sizeof *from);
    *user = (uid_t)-1;
    ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);
    struct cmsghdr *header = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == 2 /* SCM_CREDENTIALS */
        && header->cmsg_len == CMSG_LEN(sizeof(clinux_peer))) {
        clinux_peer peer;
        memcpy(&peer, CMSG_DATA(header), sizeof peer);
        *user = peer.user;
    }
    return length;
}

/// Descriptors that the kernel passes with one message, at most (SCM_MAX_FD).
static const int clinux_descriptor_limit = 253;

/// Sends a message of a SOCK_SEQPACKET socket with descriptors, without blocking and without SIGPIPE. Returns the number
/// of bytes, or -1 with errno.
static inline ssize_t clinux_send_message(int fd, const void *bytes, size_t length, const int *descriptors, int count) {
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = length};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, (size_t)count * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/// Receives such a message without blocking; its descriptors are closed on exec. `descriptors` has room for the limit,
/// and `*count` is their number. Returns the whole length, which may exceed the buffer, 0 at the end, or -1 with errno.
static inline ssize_t clinux_receive_message(int fd, void *bytes, size_t room, int *descriptors, int *count) {
    struct iovec piece = {.iov_base = bytes, .iov_len = room};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    *count = 0;
    ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    if (length < 0) return length;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int found = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(descriptors + *count, CMSG_DATA(header), (size_t)found * sizeof(int));
        *count += found;
    }
    return length;
}

/// A descriptor that is readable once the process has ended, whatever its parent is; and a signal to exactly that
/// process. -1 with errno on failure.
static inline int clinux_open_process(pid_t process) { return (int)syscall(434 /* pidfd_open */, process, 0); }
/// The same for the peer of a Unix socket: the process that connected, even if its number belongs to another one by now.
/// ENOPROTOOPT before Linux 6.5.
static inline int clinux_open_peer(int fd) {
    int process = -1;
    socklen_t length = sizeof process;
    return getsockopt(fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &process, &length) == 0 ? process : -1;
}
static inline int clinux_signal_process(int process, int signal) {
    return (int)syscall(424 /* pidfd_send_signal */, process, signal, NULL, 0);
}

/// The bytes that the allocator keeps free for the process, and returning them to the system. Only glibc reports them.
static inline size_t clinux_free_bytes(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    return mallinfo2().fordblks;
#else
    return 0;
#endif
}
static inline void clinux_give_back(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

/// Sleeps while *word == expected, at most `timeout` (relative; NULL: for ever). For threads of one process.
/// 0, or -1 with errno EAGAIN (the word differs), ETIMEDOUT or EINTR.
static inline int clinux_futex_wait(uint32_t *word, uint32_t expected, const struct timespec *timeout) {
    return (int)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0);
}

/// Wakes every thread of this process that waits for the word. Returns how many.
static inline int clinux_futex_wake_all(uint32_t *word) {
    return (int)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/// Sleeps while the word of a mapped file == expected, until `end` on the monotonic clock or a wake-up that shares one of
/// the bits. 0, or -1 with errno EAGAIN (the word differs), ETIMEDOUT, EINTR or EFAULT (the file has been shortened).
static inline int clinux_futex_wait_bits(
    uint32_t *word, uint32_t expected, const struct timespec *end, uint32_t bits) {
    return (int)syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, end, NULL, bits);
}

/// Wakes the threads that wait for the word, in all processes that map it, with one of the bits. Returns their number.
static inline int clinux_futex_wake_bits(uint32_t *word, uint32_t bits) {
    return (int)syscall(SYS_futex, word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, bits);
}

/// Adds 1 to a word of a mapped file, in the kernel: if the file has been shortened meanwhile, that is EFAULT, where an
/// access of our own would be a SIGBUS. The call must also wake waiters of some word: it wakes those of `other`, a word of
/// the same file that nothing waits for. 0 or more, or -1 with errno.
static inline int clinux_futex_add(uint32_t *word, uint32_t *other) {
    return (int)syscall(SYS_futex, other, FUTEX_WAKE_OP, 1, 0, word, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0));
}

/// What identifies a file, its size, and when it was changed.
typedef struct {
    uint64_t device;
    uint64_t inode;
    /// When it was created, in nanoseconds since 1970; 0 if the file system does not record it.
    int64_t birth;
    /// When it, or a directory's content, was last changed, in the same form.
    int64_t changed;
    int64_t size;
} clinux_file;

extern int statx(int directory, const char *path, int flags, unsigned int mask, struct statx *status);

/// The status of the path in the directory, or of the descriptor itself if the path is empty. 0, or -1 with errno.
static inline int clinux_file_status(int directory, const char *path, clinux_file *file) {
    struct statx status;
    unsigned int mask = STATX_INO | STATX_SIZE | STATX_BTIME | STATX_CTIME;
    if (statx(directory, path, *path ? 0 : 0x1000 /* AT_EMPTY_PATH */, mask, &status) != 0) return -1;
    file->device = makedev(status.stx_dev_major, status.stx_dev_minor);
    file->inode = status.stx_ino;
    file->size = (int64_t)status.stx_size;
    file->changed = status.stx_ctime.tv_sec * 1000000000LL + status.stx_ctime.tv_nsec;
    file->birth = status.stx_mask & STATX_BTIME
        ? status.stx_btime.tv_sec * 1000000000LL + status.stx_btime.tv_nsec : 0;
    return 0;
}

/// Atomic operations on a word that the kernel reads as well; Swift's Synchronization works on its own storage only.
static inline uint32_t clinux_load32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void clinux_add32(uint32_t *word, uint32_t by) { __atomic_fetch_add(word, by, __ATOMIC_RELEASE); }

#endif
