/* SPDX-License-Identifier: MIT */
/*
 * Sockets: messages in watched memory, and descriptors of objects that travel
 * in messages. Underneath an object's descriptor is a socket; the program
 * must not see that.
 */
#include "buffer.h"
#include "calls.h"

#include <string.h>

/* A header that is simply bad gives EFAULT too: do not insist. */
#define SEND_TRIES 8

static ssize_t fetch_recv(struct buffer_in *in, void *buf, size_t n)
{
	return next()->recv(in->fd, buf, n, in->flags);
}

struct from {
	__SOCKADDR_ARG addr; /* [I] */
	socklen_t *len;      /* [I] */
};

static ssize_t fetch_recvfrom(struct buffer_in *in, void *buf, size_t n)
{
	const struct from *from = in->more;

	return next()->recvfrom(in->fd, buf, n, in->flags, from->addr,
				from->len);
}

static ssize_t fetch_recvmsg(struct buffer_in *in, void *buf, size_t n)
{
	struct iovec iov = { .iov_base = buf, .iov_len = n };
	struct msghdr *msg = in->more;
	struct msghdr bounced = *msg;
	ssize_t result;

	bounced.msg_iov = &iov;
	bounced.msg_iovlen = 1;
	result = next()->recvmsg(in->fd, &bounced, in->flags);
	if (result >= 0) {
		msg->msg_namelen = bounced.msg_namelen;
		msg->msg_controllen = bounced.msg_controllen;
		msg->msg_flags = bounced.msg_flags;
	}
	return result;
}

SHIM ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	struct buffer_in in = { .fetch = fetch_recv, .fd = fd,
				.flags = flags };

	if (ours(fd))
		return shim_fail(ENOTSOCK);
	if (watched(buf, n))
		return buffer_in_plain(&in, buf, n);
	return next()->recv(fd, buf, n, flags);
}

SHIM ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	if (n > room)
		abort();
	return recv(fd, buf, n, flags);
}

SHIM ssize_t recvfrom(int fd, void *buf, size_t n, int flags,
		      __SOCKADDR_ARG addr, socklen_t *addr_len)
{
	struct from from = { addr, addr_len };
	struct buffer_in in = { .fetch = fetch_recvfrom, .fd = fd,
				.flags = flags, .more = &from };

	if (ours(fd))
		return shim_fail(ENOTSOCK);
	if (watched(buf, n))
		return buffer_in_plain(&in, buf, n);
	return next()->recvfrom(fd, buf, n, flags, addr, addr_len);
}

SHIM ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room,
			    int flags, __SOCKADDR_ARG addr,
			    socklen_t *addr_len)
{
	if (n > room)
		abort();
	return recvfrom(fd, buf, n, flags, addr, addr_len);
}

/* Calls `each` for every descriptor that the control part carries. */
static void each_right(struct msghdr *msg, void (*each)(int fd))
{
	struct cmsghdr *part;
	int fd;

	for (part = CMSG_FIRSTHDR(msg); part; part = CMSG_NXTHDR(msg, part)) {
		size_t end = part->cmsg_len;

		if (part->cmsg_level != SOL_SOCKET ||
		    part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= end;
		     at += sizeof(fd)) {
			memcpy(&fd, (char *)part + at, sizeof(fd));
			each(fd);
		}
	}
}

static void note_received(int fd)
{
	int saved = errno;

	if (pf_note_received(fd))
		shim_adopt(fd);
	errno = saved;
}

/* From now on another process may look at it. */
static void note_sent(int fd)
{
	int saved = errno;

	if (pf_is_userfaultfd(fd))
		pf_note_polled_elsewhere(fd);
	errno = saved;
}

/* What the kernel is to write beside the bytes is present. */
static int fault_in_header(const struct msghdr *msg, bool is_write)
{
	if (msg->msg_name && msg->msg_namelen &&
	    pf_is_watched(msg->msg_name, msg->msg_namelen) &&
	    pf_fault_in(msg->msg_name, msg->msg_namelen, is_write))
		return -1;
	if (msg->msg_control && msg->msg_controllen &&
	    pf_is_watched(msg->msg_control, msg->msg_controllen) &&
	    pf_fault_in(msg->msg_control, msg->msg_controllen, is_write))
		return -1;
	return 0;
}

/*
 * Whether the message must go by way of our buffer. A header that cannot be
 * read is the kernel's to refuse.
 * Returns: 1 yes, 0 no, -1 and errno.
 */
static int must_bounce(const struct msghdr *msg, struct msghdr *copy)
{
	if (!shim_is_active() || !shim_peek(copy, msg, sizeof(*copy)))
		return 0;
	if (fault_in_header(copy, true))
		return -1;
	return copy->msg_iovlen <= INT32_MAX &&
	       buffer_iov_is_watched(copy->msg_iov, (int)copy->msg_iovlen);
}

SHIM ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct buffer_in in = { .fetch = fetch_recvmsg, .fd = fd,
				.flags = flags, .more = msg };
	struct msghdr copy;
	ssize_t result;
	int how;

	if (ours(fd))
		return shim_fail(ENOTSOCK);
	how = must_bounce(msg, &copy);
	if (how < 0)
		return -1;
	if (how > 0) {
		in.iov = copy.msg_iov;
		in.count = (int)copy.msg_iovlen;
		result = buffer_in_run(&in);
	} else {
		result = next()->recvmsg(fd, msg, flags);
	}
	if (result >= 0 && msg->msg_controllen)
		each_right(msg, note_received);
	return result;
}

SHIM int recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags,
		  struct timespec *timeout)
{
	struct msghdr copy;
	int result;

	if (ours(fd))
		return shim_fail(ENOTSOCK);
	for (unsigned i = 0; shim_is_active() && i < count; i++) {
		int how = must_bounce(&msgs[i].msg_hdr, &copy);

		if (how < 0 || (how && buffer_iov_fault_in(
					       copy.msg_iov,
					       (int)copy.msg_iovlen, true)))
			return -1;
	}
	result = next()->recvmmsg(fd, msgs, count, flags, timeout);
	for (int i = 0; i < result; i++)
		if (msgs[i].msg_hdr.msg_controllen)
			each_right(&msgs[i].msg_hdr, note_received);
	return result;
}

SHIM ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	ssize_t result;

	if (ours(fd))
		return shim_fail(ENOTSOCK);
	if (!watched(buf, n))
		return next()->send(fd, buf, n, flags);
	BUFFER_CALL(result, buf, n, false, next()->send(fd, buf, n, flags));
	return result;
}

SHIM_ALIAS(__send, send);

SHIM ssize_t sendto(int fd, const void *buf, size_t n, int flags,
		    __CONST_SOCKADDR_ARG addr, socklen_t addr_len)
{
	ssize_t result;

	if (ours(fd))
		return shim_fail(ENOTSOCK);
	if (!watched(buf, n))
		return next()->sendto(fd, buf, n, flags, addr, addr_len);
	BUFFER_CALL(result, buf, n, false,
		    next()->sendto(fd, buf, n, flags, addr, addr_len));
	return result;
}

/* What the kernel is to read is present. Returns: 0; -1 and EFAULT. */
static int prepare_sent(const struct msghdr *msg)
{
	struct msghdr copy;

	if (!shim_peek(&copy, msg, sizeof(copy)))
		return 0;
	if (fault_in_header(&copy, false))
		return -1;
	if (copy.msg_control && copy.msg_controllen >= sizeof(struct cmsghdr))
		each_right(&copy, note_sent);
	if (copy.msg_iovlen > INT32_MAX)
		return 0;
	return buffer_iov_fault_in(copy.msg_iov, (int)copy.msg_iovlen, false);
}

SHIM ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t result;
	int tries = 0;

	if (!shim_is_active())
		return next()->sendmsg(fd, msg, flags);
	if (pf_is_userfaultfd(fd))
		return shim_fail(ENOTSOCK);
	do {
		if (prepare_sent(msg))
			return -1;
		result = next()->sendmsg(fd, msg, flags);
	} while (buffer_must_repeat(result, &tries) && tries < SEND_TRIES);
	return result;
}

SHIM int sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	if (ours(fd))
		return shim_fail(ENOTSOCK);
	for (unsigned i = 0; shim_is_active() && i < count; i++)
		if (prepare_sent(&msgs[i].msg_hdr))
			return -1;
	return next()->sendmmsg(fd, msgs, count, flags);
}
