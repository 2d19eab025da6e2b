"""Asks AMT for its UUID through the kernel's MEI interface, by file descriptors that are copies, and in a child."""
import errno, fcntl, os, sys, uuid

CONNECT, AMTHI, LME = 0xC0104801, uuid.UUID("12f80028-b4b7-4b2d-aca8-46e0ff65814c"), uuid.UUID("6733a4db-0476-4e7b-b3af-bcfc29bee7a7")


def connect(fd, client):
    data = bytearray(client.bytes_le)
    fcntl.ioctl(fd, CONNECT, data)
    return int.from_bytes(data[:4], "little")


def refused(number, do, *args):
    try:
        do(*args)
    except OSError as e:
        assert e.errno == number, e
    else:
        raise AssertionError("not refused")


def ask(fd, size):
    os.write(fd, bytes.fromhex("01010000 5c000004 00000000"))
    answer = os.read(fd, size)
    assert answer[:16] == bytes.fromhex("01010000 5c008004 14000000 00000000"), answer
    return uuid.UUID(bytes_le=answer[16:32])


first = os.open("/dev/mei0", os.O_RDWR)
refused(errno.ENODEV, os.read, first, 16)
refused(errno.ENOTTY, connect, first, uuid.UUID(int=1))
size = connect(first, AMTHI)
refused(errno.EBUSY, connect, first, AMTHI)
refused(errno.EFBIG, os.write, first, bytes(size + 1))

# LME takes one connection.
one, two = os.open("/dev/mei0", os.O_RDWR), os.open("/dev/mei0", os.O_RDWR)
connect(one, LME)
refused(errno.EBUSY, connect, two, LME)

answers = {ask(first, size), ask(os.dup(first), size)}
child = os.fork()
if child == 0:
    os._exit(0 if ask(first, size) in answers else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(answers) == 1, answers
print(answers.pop())
with open("/sys/class/mei/mei0/kind") as f:
    print(f.read().strip())
