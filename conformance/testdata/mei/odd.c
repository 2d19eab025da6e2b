/*
 * A program that asks odd things of /dev/mei0 and prints what each comes to, one line each, so that two drivers can be
 * compared. AMT 16 is behind it, in S0, with nobody else connected. What package devmei says that it does otherwise is
 * not asked.
 *
 *	odd [NODE]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mei.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned char amthi[16] = {0x28, 0x00, 0xF8, 0x12, 0xB7, 0xB4, 0x2D, 0x4B, 0xAC, 0xA8, 0x46, 0xE0, 0xFF, 0x65, 0x81, 0x4C};
static const unsigned char lme[16] = {0xDB, 0xA4, 0x33, 0x67, 0x76, 0x04, 0x7B, 0x4E, 0xB3, 0xAF, 0xBC, 0xFC, 0x29, 0xBE, 0xE7, 0xA7};
static const unsigned char mkhi[16] = {0x15, 0x67, 0x6A, 0x8E, 0xBC, 0x9A, 0x43, 0x40, 0x88, 0xEF, 0x9E, 0x39, 0xC6, 0xF6, 0x3E, 0x0F};
static const unsigned char mkhifixed[16] = {0x84, 0x35, 0x21, 0x55, 0x29, 0x9A, 0x16, 0x49, 0xBA, 0xDF, 0x0F, 0xB7, 0xED, 0x68, 0x2A, 0xEB};
static const unsigned char nobody[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const unsigned char ask[4] = {0xFF, 0x02, 0x00, 0x00}; /* which versions? 28 bytes of answer */
static void *volatile nowhere = (void *)8;

static void say(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
}

static void die(const char *what)
{
	printf("%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

static const char *node; /* /dev/mei0, or its like */

static int device(int flags)
{
	int fd = open(node, flags);
	if (fd < 0)
		die("open");
	return fd;
}

static int link_to(int fd, const unsigned char *client)
{
	unsigned char arg[16];
	int tries, r = -1;
	memcpy(arg, client, sizeof arg);
	/* firmware may not have noticed yet that the one before is gone */
	for (tries = 0; tries < 100 && (r = ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, arg)) < 0 && errno == EBUSY; tries++) {
		memcpy(arg, client, sizeof arg);
		usleep(20000);
	}
	return r;
}

static int connected(int flags)
{
	int fd = device(flags);
	if (link_to(fd, mkhi) < 0)
		die("connect");
	return fd;
}

static int events(int fd, int want, int timeout)
{
	struct pollfd p = {fd, want, 0};
	if (poll(&p, 1, timeout) < 0)
		die("poll");
	return p.revents;
}

/* rd reads, but not for ever */
static ssize_t rd(int fd, void *b, size_t n)
{
	ssize_t r;
	alarm(3);
	r = read(fd, b, n);
	alarm(0);
	return r;
}

static void opening(void)
{
	static const struct { const char *name; int flags; } how[] = {
		{"read only", O_RDONLY}, {"write only", O_WRONLY}, {"directory", O_RDWR | O_DIRECTORY}, {"exclusive", O_RDWR | O_CREAT | O_EXCL},
		{"create", O_RDWR | O_CREAT}, {"truncate", O_RDWR | O_TRUNC}, {"append", O_RDWR | O_APPEND}, {"close on exec", O_RDWR | O_CLOEXEC},
		{"no follow", O_RDWR | O_NOFOLLOW}, {"nonblock", O_RDWR | O_NONBLOCK},
	};
	char what[80], link[80], spelt[80];
	struct stat s;
	unsigned i;
	for (i = 0; i < sizeof how / sizeof *how; i++) {
		int fd = open(node, how[i].flags, 0600);
		snprintf(what, sizeof what, "open %s", how[i].name);
		say(what, fd < 0 ? -1 : 0);
		if (fd < 0)
			continue;
		printf("nonblock %o, of descriptor %d\n", fcntl(fd, F_GETFL) & O_NONBLOCK, fcntl(fd, F_GETFD));
		if (how[i].flags == O_RDONLY) {
			say("connect, read only", link_to(fd, mkhi));
			say("write, read only", write(fd, ask, sizeof ask));
		}
		if (how[i].flags == O_WRONLY) {
			say("connect, write only", link_to(fd, mkhi));
			say("write, write only", write(fd, ask, sizeof ask));
			say("read, write only", rd(fd, what, sizeof what));
		}
		close(fd);
	}
	snprintf(spelt, sizeof spelt, "/dev/../dev//./%s", node + 5);
	say("open no device", open("/dev/mei7", O_RDWR));
	say("open oddly spelt", open(spelt, O_RDWR) < 0 ? -1 : 0);
	say("chdir", chdir("/dev"));
	say("open in folder", open(node + 5, O_RDWR) < 0 ? -1 : 0);
	say("stat", stat(node, &s));
	printf("mode %o links %d\n", s.st_mode & ~0777, (int)s.st_nlink);
	say("access", access(node, R_OK | W_OK));
	say("access, run", access(node, X_OK));
	say("readlink", readlink(node, link, sizeof link));
}

static void fresh(void)
{
	int fd = device(O_RDWR), other;
	unsigned char b[64];
	struct stat s;
	unsigned one = 1;
	say("fresh: read", rd(fd, b, sizeof b));
	say("fresh: read nothing", rd(fd, b, 0));
	say("fresh: write", write(fd, b, 4));
	say("fresh: write nothing", write(fd, b, 0));
	say("fresh: fsync", fsync(fd));
	say("fresh: events on", ioctl(fd, IOCTL_MEI_NOTIFY_SET, &one));
	say("fresh: event", ioctl(fd, IOCTL_MEI_NOTIFY_GET, &one));
	say("fresh: stat", fstat(fd, &s));
	printf("fresh: mode %o\n", s.st_mode & S_IFMT);
	say("fresh: connect nowhere", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, nowhere));
	memcpy(b, nobody, 16);
	say("fresh: connect to nobody", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, b));
	memset(b, 0, 16);
	say("fresh: connect to nought", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, b));
	memcpy(b, mkhi, 16);
	b[16] = 1;
	say("fresh: connect with tag", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT_VTAG, b));
	say("then: connect", link_to(fd, mkhi));
	other = device(O_RDWR);
	say("other: connect", link_to(other, mkhi));
	close(fd);
	close(other);
}

static void connecting(void)
{
	int fd = device(O_RDWR), all[6], n, i;
	unsigned char b[32];
	memset(b, 0xA5, sizeof b);
	memcpy(b, amthi, 16);
	say("connect", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, b));
	printf("properties");
	for (i = 0; i < 20; i++)
		printf(" %02x", b[i]);
	printf("\n");
	memcpy(b, amthi, 16);
	say("connect again", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, b));
	memcpy(b, nobody, 16);
	say("connect again, to nobody", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, b));
	memcpy(b, mkhi, 16);
	b[16] = 1;
	say("connect again, with tag", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT_VTAG, b));
	for (n = 0; n < 6; n++) {
		all[n] = device(O_RDWR);
		memcpy(b, amthi, 16);
		if (ioctl(all[n], IOCTL_MEI_CONNECT_CLIENT, b) < 0)
			break;
	}
	say("one too many", -1);
	printf("connections beside the first: %d\n", n);
	close(all[0]);
	say("connect the refused", link_to(all[n], amthi));
	for (i = 1; i <= n; i++)
		close(all[i]);
	close(fd);
	fd = device(O_RDWR);
	say("connect LME", link_to(fd, lme));
	all[0] = device(O_RDWR);
	memcpy(b, lme, 16);
	say("connect LME twice", ioctl(all[0], IOCTL_MEI_CONNECT_CLIENT, b));
	say("turn to another", link_to(all[0], mkhi));
	close(fd);
	close(all[0]);
	fd = device(O_RDWR);
	say("connect LME anew", link_to(fd, lme));
	close(fd);
	fd = device(O_RDWR);
	memcpy(b, mkhifixed, 16);
	say("connect fixed", ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, b));
	say("fixed: write", write(fd, ask, sizeof ask));
	printf("fixed: poll %x\n", events(fd, POLLIN, 10000));
	say("fixed: read", rd(fd, b, sizeof b));
	close(fd);
}

static void asking(void)
{
	int fd = connected(O_RDWR), low, i;
	unsigned char b[6000];
	struct iovec two[2] = {{b, 10}, {b + 10, 100}};
	memset(b, 0, sizeof b);
	printf("poll out %x\n", events(fd, POLLOUT, 0));
	printf("poll in %x\n", events(fd, POLLIN, 0));
	say("write", write(fd, ask, sizeof ask));
	printf("poll in %x\n", events(fd, POLLIN, 10000));
	printf("poll all %x\n", events(fd, POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM | POLLRDHUP, 0));
	say("read nothing", rd(fd, b, 0));
	say("read 10", rd(fd, b, 10));
	printf("poll in the middle %x\n", events(fd, POLLIN, 0));
	say("read 7", rd(fd, b, 7));
	say("read 100", rd(fd, b, 100));
	printf("poll after %x\n", events(fd, POLLIN, 0));
	for (i = 0; i < 3; i++)
		say("write of three", write(fd, ask, sizeof ask));
	say("read 1 of three", rd(fd, b, 20));
	say("read 1 of three", rd(fd, b, 20));
	say("read 2 of three", rd(fd, b, sizeof b));
	say("read 3 of three", rd(fd, b, sizeof b));
	say("write too much", write(fd, b, 2049));
	memcpy(b, "\x77\x02", 2); /* a group that there is not */
	say("write all there may be", write(fd, b, 2048));
	say("read", rd(fd, b, sizeof b));
	say("write from nowhere", write(fd, nowhere, 4));
	say("write nothing", write(fd, b, 0));
	say("write nothing from nowhere", write(fd, nowhere, 0));
	say("write", write(fd, ask, sizeof ask));
	events(fd, POLLIN, 10000);
	say("read to nowhere", rd(fd, nowhere, 100));
	say("read afterwards", rd(fd, b, 100));
	say("write", write(fd, ask, sizeof ask));
	events(fd, POLLIN, 10000);
	say("readv", readv(fd, two, 2));
	low = dup2(fd, 50);
	say("dup: write", write(low, ask, sizeof ask));
	say("dup: read by the other", rd(fd, b, 10));
	say("dup: read the rest", rd(fd, b, 100));
	say("dup: write again", write(low, ask, sizeof ask));
	say("dup: read", rd(low, b, sizeof b));
	memcpy(b, mkhi, 16);
	say("dup: connect", ioctl(low, IOCTL_MEI_CONNECT_CLIENT, b));
	close(fd);
	say("dup: write after close", write(low, ask, sizeof ask));
	say("dup: read after close", rd(low, b, sizeof b));
	close(low);
	fd = device(O_RDWR);
	low = fcntl(fd, F_DUPFD, 60);
	say("dup, fresh: connect", link_to(low, mkhi));
	say("dup, fresh: write by the other", write(fd, ask, sizeof ask));
	say("dup, fresh: read", rd(low, b, sizeof b));
	close(fd);
	close(low);
}

static void hurried(void)
{
	int fd = connected(O_RDWR | O_NONBLOCK), ep = epoll_create1(0), on = 1;
	unsigned char b[64];
	struct epoll_event e = {EPOLLIN | EPOLLET, {0}};
	struct timeval some = {10, 0};
	fd_set in;
	say("nonblock: read", rd(fd, b, sizeof b));
	say("nonblock: read again", rd(fd, b, sizeof b));
	say("nonblock: write", write(fd, ask, sizeof ask));
	FD_ZERO(&in);
	FD_SET(fd, &in);
	say("nonblock: select", select(fd + 1, &in, 0, 0, &some));
	say("nonblock: read", rd(fd, b, sizeof b));
	say("nonblock: read", rd(fd, b, sizeof b));
	say("epoll: add", epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	say("epoll: wait for nothing", epoll_wait(ep, &e, 1, 0));
	say("epoll: write", write(fd, ask, sizeof ask));
	say("epoll: wait", epoll_wait(ep, &e, 1, 10000));
	printf("epoll: says %x\n", e.events);
	say("epoll: read", rd(fd, b, sizeof b));
	close(ep);
	on = 0;
	say("blocking by ioctl", ioctl(fd, FIONBIO, &on));
	say("blocking: write", write(fd, ask, sizeof ask));
	say("blocking: read", rd(fd, b, sizeof b));
	close(fd);
}

static void strange(void)
{
	int fd = connected(O_RDWR), n = -1;
	char b[64];
	struct termios_like { char c[60]; } t;
	say("seek", lseek(fd, 0, SEEK_SET));
	say("pread", pread(fd, b, 1, 0));
	say("pwrite", pwrite(fd, b, 1, 0));
	say("map", mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	say("truncate", ftruncate(fd, 0));
	say("fsync", fsync(fd));
	say("fdatasync", fdatasync(fd));
	say("bytes to read", ioctl(fd, FIONREAD, &n));
	say("unknown ioctl", ioctl(fd, _IOW('H', 9, int), &n));
	say("ioctl of terminals", ioctl(fd, 0x5401, &t));
	say("list", syscall(SYS_getdents64, fd, b, sizeof b));
	say("chdir", fchdir(fd));
	say("still: write", write(fd, ask, sizeof ask));
	say("still: read", rd(fd, b, sizeof b));
	close(fd);
	say("closed: write", write(fd, ask, sizeof ask));
	say("closed: connect", link_to(fd, mkhi));
}

static void notices(void)
{
	int fd = connected(O_RDWR | O_NONBLOCK);
	unsigned v;
	v = 2;
	say("events 2", ioctl(fd, IOCTL_MEI_NOTIFY_SET, &v));
	say("event, not asked for", ioctl(fd, IOCTL_MEI_NOTIFY_GET, &v));
	v = 0;
	say("events off before on", ioctl(fd, IOCTL_MEI_NOTIFY_SET, &v));
	v = 1;
	say("events on", ioctl(fd, IOCTL_MEI_NOTIFY_SET, &v));
	say("events on again", ioctl(fd, IOCTL_MEI_NOTIFY_SET, &v));
	say("events from nowhere", ioctl(fd, IOCTL_MEI_NOTIFY_SET, nowhere));
	say("event, none", ioctl(fd, IOCTL_MEI_NOTIFY_GET, &v));
	printf("event, poll %x\n", events(fd, POLLPRI, 0));
	v = 0;
	say("events off", ioctl(fd, IOCTL_MEI_NOTIFY_SET, &v));
	say("event, off", ioctl(fd, IOCTL_MEI_NOTIFY_GET, &v));
	close(fd);
}

static void family(void)
{
	int fd = connected(O_RDWR), status, pair[2], got;
	unsigned char b[64];
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } c;
	struct iovec v = {b, 1};
	struct msghdr m = {0, 0, &v, 1, &c, sizeof c, 0};
	pid_t child;
	fflush(stdout);
	if ((child = fork()) == 0) {
		say("child: write", write(fd, ask, sizeof ask));
		say("child: read 5", rd(fd, b, 5));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &status, 0);
	say("parent: read the rest", rd(fd, b, sizeof b));
	fflush(stdout);
	if ((child = fork()) == 0) {
		say("child: read", rd(fd, b, sizeof b)); /* what the parent asks */
		fflush(stdout);
		_exit(0);
	}
	say("parent: write", write(fd, ask, sizeof ask));
	waitpid(child, &status, 0);
	fflush(stdout);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		die("socketpair");
	memset(&c, 0, sizeof c);
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&c.h), &fd, sizeof fd);
	say("pass it on", sendmsg(pair[0], &m, 0));
	close(fd);
	if ((child = fork()) == 0) {
		m.msg_controllen = sizeof c;
		recvmsg(pair[1], &m, 0);
		memcpy(&got, CMSG_DATA(&c.h), sizeof got);
		say("heir: write", write(got, ask, sizeof ask));
		say("heir: read", rd(got, b, sizeof b));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &status, 0);
}

static void nothing(int sig) { (void)sig; }

static void interrupted(void)
{
	int fd = connected(O_RDWR);
	unsigned char b[64];
	struct itimerval t = {{0, 0}, {0, 100000}};
	setitimer(ITIMER_REAL, &t, 0);
	say("interrupted: read", read(fd, b, sizeof b));
	setitimer(ITIMER_REAL, &t, 0);
	say("interrupted: read short", read(fd, b, 10));
	say("interrupted: write", write(fd, ask, sizeof ask));
	say("interrupted: read then", read(fd, b, sizeof b));
	close(fd);
}

static int shared;

static void *reader(void *arg)
{
	static long n[2];
	unsigned char b[64];
	long *mine = &n[arg != 0];
	*mine = rd(shared, b, arg ? 10 : sizeof b);
	return mine;
}

static void threads(void)
{
	pthread_t one;
	void *n;
	shared = connected(O_RDWR);
	pthread_create(&one, 0, reader, 0);
	usleep(100000);
	say("threads: write", write(shared, ask, sizeof ask));
	pthread_join(one, &n);
	printf("threads: other has read %ld\n", *(long *)n);
	pthread_create(&one, 0, reader, &shared);
	usleep(100000);
	say("threads: write", write(shared, ask, sizeof ask));
	pthread_join(one, &n);
	printf("threads: other has read %ld\n", *(long *)n);
	usleep(100000);
	{
		unsigned char b[64];
		say("threads: rest", rd(shared, b, sizeof b));
	}
	close(shared);
}

static void leaving(void)
{
	unsigned char b[64];
	int i, fd;
	for (i = 0; i < 20; i++) {
		fd = connected(O_RDWR);
		if (write(fd, ask, sizeof ask) != sizeof ask)
			die("write");
		if (i % 2 && rd(fd, b, 3) != 3)
			die("read");
		close(fd); /* the answer, or its rest, is for nobody */
	}
	fd = connected(O_RDWR);
	say("after twenty: poll", events(fd, POLLIN, 200));
	say("after twenty: write", write(fd, ask, sizeof ask));
	say("after twenty: read", rd(fd, b, sizeof b));
	close(fd);
}

static void flood(void)
{
	int fd = connected(O_RDWR | O_NONBLOCK), n = 0, m = 0;
	unsigned char b[64];
	while (n < 2000 && write(fd, ask, sizeof ask) == sizeof ask)
		n++;
	while (m < n && events(fd, POLLIN, 10000) == POLLIN)
		if (rd(fd, b, sizeof b) == 28)
			m++;
	/* how many there is room for depends on how fast the engine takes them */
	printf("flood: %s, %s\n", n > 0 ? "some" : "none", m == n ? "all answered" : "answers are lost");
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction a;
	node = argc > 1 ? argv[1] : "/dev/mei0";
	setvbuf(stdout, 0, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	memset(&a, 0, sizeof a);
	a.sa_handler = nothing;
	sigaction(SIGALRM, &a, 0);
	opening();
	fresh();
	connecting();
	asking();
	hurried();
	strange();
	notices();
	family();
	interrupted();
	threads();
	leaving();
	flood();
	printf("done\n");
	return 0;
}
