/*
 * Asks AMT for its versions through the kernel's MEI interface, again and again, and checks each answer. Written after
 * the kernel's documentation of the interface (Documentation/driver-api/mei) and linux/mei.h, not after Outband.
 *
 *	version [TIMES]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mei.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const unsigned char amthi[16] = {0x28, 0x00, 0xf8, 0x12, 0xb7, 0xb4, 0x2d, 0x4b, 0xac, 0xa8, 0x46, 0xe0, 0xff, 0x65, 0x81, 0x4c};

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* ask sends a command without data and wants an answer of that command, with status 0. */
static int ask(int fd, unsigned char *b, size_t size, uint8_t command)
{
	unsigned char request[12] = {1, 1, 0, 0, command, 0, 0, 4, 0, 0, 0, 0};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (write(fd, request, sizeof(request)) != sizeof(request))
		return fail("write");
	if (poll(&p, 1, 60000) != 1 || !(p.revents & POLLIN))
		return fail("poll");
	n = read(fd, b, size);
	if (n < 16)
		return fail("read");
	if (b[4] != command || b[6] != 0x80 || b[7] != 4 || memcmp(b + 12, "\0\0\0\0", 4)) {
		fprintf(stderr, "wrong answer to command %d: %d, %02x%02x, status %d\n", command, b[4], b[6], b[7], b[12]);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 1, fd, i;
	struct mei_connect_client_data data;
	unsigned char *b;

	for (;;) {
		fd = open("/dev/mei0", O_RDWR);
		if (fd < 0)
			return fail("/dev/mei0");
		memcpy(&data.in_client_uuid, amthi, sizeof(amthi));
		if (ioctl(fd, IOCTL_MEI_CONNECT_CLIENT, &data) == 0)
			break;
		if (errno != EBUSY) /* others have all connections: firmware has few */
			return fail("connect");
		close(fd);
		usleep(20000);
	}
	if (data.out_client_properties.max_msg_length != 5120 || data.out_client_properties.protocol_version != 1) {
		fprintf(stderr, "properties %u %u\n", data.out_client_properties.max_msg_length, data.out_client_properties.protocol_version);
		return 1;
	}
	b = malloc(data.out_client_properties.max_msg_length);
	for (i = 0; i < times; i++) {
		/* 26: versions of the code, 17: control of setup. Their answers differ in length. */
		if (ask(fd, b, data.out_client_properties.max_msg_length, 17) || ask(fd, b, data.out_client_properties.max_msg_length, 26))
			return 1;
	}
	/* status, BIOS version (65 bytes), number of versions, then name and version, each a length and 20 bytes. */
	for (i = 0; i < b[81]; i++) {
		unsigned char *v = b + 85 + i * 44;
		printf("%.*s %.*s\n", v[0], v + 2, v[22], v + 24);
	}
	close(fd);
	return 0;
}
