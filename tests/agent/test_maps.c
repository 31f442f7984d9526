/* Reading /proc/self/maps: the kernel's own lines, and lines that lie badly in the buffer. */
#include "agent/life/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/agent/check.h"
#include "tests/agent/faults.h"

static struct maps_reader reader;
static struct mapping mapping;

static int file_of(const char *text, size_t size)
{
    int fd = memfd_create("maps", 0);
    CHECK(fd >= 0);
    CHECK_EQUAL(write(fd, text, size), size);
    return fd;
}

static void begin(int fd)
{
    CHECK_EQUAL(maps_begin(&reader, fd), 0);
}

static void test_fields(void)
{
    static const char text[] =
        "55d0c8a00000-55d0c8a02000 r--p 00000000 fe:01 123456                     /usr/bin/a b\n"
        "7ffd1b5e8000-7ffd1b609000 rw-p 00000000 00:00 0                          [stack]\n"
        "7f0000000000-7f0000001000 ---p 0001f000 103:02 18446744073709551615\n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
        "7f1000000000-7f1000001000 r-xs 7ffffffff000 00:1f 7                      /memfd:x (deleted)\n";
    int fd = file_of(text, sizeof text - 1);
    begin(fd);
    CHECK_EQUAL(maps_next(&reader, &mapping), 1);
    CHECK(mapping.start == 0x55d0c8a00000 && mapping.end == 0x55d0c8a02000);
    CHECK(mapping.readable && !mapping.executable);
    CHECK(mapping.offset == 0 && mapping.inode == 123456);
    CHECK(strcmp(mapping.path, "/usr/bin/a b") == 0);
    CHECK_EQUAL(maps_next(&reader, &mapping), 1);
    CHECK(mapping.inode == 0 && strcmp(mapping.path, "[stack]") == 0);
    CHECK_EQUAL(maps_next(&reader, &mapping), 1);
    CHECK(!mapping.readable && !mapping.executable && mapping.offset == 0x1f000);
    CHECK(mapping.inode == UINT64_MAX && strcmp(mapping.path, "") == 0);
    CHECK_EQUAL(maps_next(&reader, &mapping), 1);
    CHECK(mapping.start == 0xffffffffff600000 && !mapping.readable && mapping.executable);
    CHECK_EQUAL(maps_next(&reader, &mapping), 1);
    CHECK(mapping.readable && mapping.executable && mapping.offset == 0x7ffffffff000);
    CHECK(strcmp(mapping.path, "/memfd:x (deleted)") == 0);
    CHECK_EQUAL(maps_next(&reader, &mapping), 0);
    close(fd);
}

/* Lines of every length, so that the end of the buffer falls on each of their bytes. */
static void test_lengths(void)
{
    static char text[2 << 20];
    size_t size = 0;
    int count = 0;
    for (int length = 0; length < 1100; length++, count++) {
        size +=
            (size_t)sprintf(text + size, "%x000-%x000 r-xp 00000000 00:00 %d   ", count, count + 1, count);
        memset(text + size, 'a' + length % 26, (size_t)length);
        size += (size_t)length;
        text[size++] = '\n';
    }
    int fd = file_of(text, size);
    for (int round = 0; round < 2; round++) {
        begin(fd);
        for (int i = 0; i < count; i++) {
            CHECK_EQUAL(maps_next(&reader, &mapping), 1);
            CHECK_EQUAL(mapping.start, (uint64_t)i << 12);
            CHECK_EQUAL(mapping.inode, i);
            size_t kept = i < MODULE_PATH_BYTES ? (size_t)i : 0; /* a longer one is left out, not cut */
            CHECK_EQUAL(strlen(mapping.path), kept);
            CHECK_EQUAL(strspn(mapping.path, (char[]){(char)('a' + i % 26), '\0'}), kept);
        }
        CHECK_EQUAL(maps_next(&reader, &mapping), 0);
    }
    close(fd);
}

/* One that does not fit into the buffer hides nothing but itself. */
static void test_line_longer_than_the_buffer(void)
{
    static const char line[] = "1000-2000 r-xp 00000000 00:00 7 /before\n";
    for (size_t length = sizeof reader.buffer - 200; length < 3 * sizeof reader.buffer; length += 97) {
        static char text[4 * sizeof reader.buffer];
        memcpy(text, line, sizeof line - 1);
        size_t size = sizeof line - 1;
        memcpy(text + size, "3000-4000 r-xp 00000000 00:00 8 ", 32);
        memset(text + size + 32, 'x', length - 33);
        size += length;
        text[size - 1] = '\n';
        size += (size_t)sprintf(text + size, "5000-6000 r-xp 00000000 00:00 9 /behind\n");
        int fd = file_of(text, size);
        begin(fd);
        CHECK_EQUAL(maps_next(&reader, &mapping), 1);
        CHECK(strcmp(mapping.path, "/before") == 0);
        CHECK_EQUAL(maps_next(&reader, &mapping), 1);
        if (mapping.inode == 8) {
            CHECK_EQUAL(mapping.path[0], '\0');
            CHECK_EQUAL(maps_next(&reader, &mapping), 1);
        }
        CHECK_EQUAL(mapping.start, 0x5000);
        CHECK(strcmp(mapping.path, "/behind") == 0);
        CHECK_EQUAL(maps_next(&reader, &mapping), 0);
        close(fd);
    }
}

/* Whatever stands in the file: no line is read past its end, and the file has one. */
static void test_nonsense(void)
{
    static const char *const texts[] = {
        "\n",
        "1",
        "1\n",
        "-\n",
        "1-\n",
        "1-2\n",
        "1-2 \n",
        "1-2 r\n",
        "1-2 r-x\n",
        "1-2 r-xp\n",
        "1-2 r-xp 0\n",
        "1-2 r-xp 0 0\n",
        "1-2 r-xp 0 0:0\n",
        "zzzz zzzz zzzz\n\n\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *lines = texts[i];
        int count = 0, fd = file_of(texts[i], strlen(texts[i]));
        while (*lines != '\0')
            count += *lines++ == '\n';
        begin(fd);
        for (; count > 0; count--)
            CHECK_EQUAL(maps_next(&reader, &mapping), 1);
        CHECK_EQUAL(maps_next(&reader, &mapping), 0); /* a line without end is not one yet */
        close(fd);
    }
}

static void test_errors(void)
{
    CHECK_EQUAL(maps_begin(&reader, -1), -EBADF);
    static char text[20000];
    memset(text, '\n', sizeof text);
    int fd = file_of(text, sizeof text);
    begin(fd);
    faults_set(SYS_read, 1, -EIO, false);
    int lines = 0, status;
    while ((status = maps_next(&reader, &mapping)) > 0)
        lines++;
    CHECK(faults_clear());
    CHECK_EQUAL(status, -EIO);
    CHECK_EQUAL(lines, sizeof reader.buffer);
    close(fd);
}

/* The kernel's own file, against what the C library makes of it. Nothing is mapped between the readings. */
static void test_kernel(void)
{
    static char text[1 << 20];
    int fd = open("/proc/self/maps", O_RDONLY);
    CHECK(fd >= 0);
    size_t size = 0;
    ssize_t got;
    while ((got = read(fd, text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)got;
    CHECK(got == 0 && size > 0 && size < sizeof text - 1);

    bool found = false;
    const char *line = text;
    begin(fd);
    while (maps_next(&reader, &mapping) > 0) {
        uint64_t start, end, offset, inode;
        char permissions[5], path[4096] = "";
        CHECK(sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %" SCNu64 "%*[ ]%4095[^\n]",
                     &start, &end, permissions, &offset, &inode, path) >= 5);
        line = strchr(line, '\n') + 1;
        CHECK(mapping.start == start && mapping.end == end && mapping.offset == offset);
        CHECK(mapping.inode == inode && strcmp(mapping.path, path) == 0);
        CHECK(mapping.readable == (permissions[0] == 'r') && mapping.executable == (permissions[2] == 'x'));
        uint64_t here = (uint64_t)(uintptr_t)test_kernel;
        found |= here >= start && here < end && mapping.executable;
    }
    CHECK(found && *line == '\0');
    close(fd);
}

int main(void)
{
    test_kernel();
    test_fields();
    test_lengths();
    test_line_longer_than_the_buffer();
    test_nonsense();
    test_errors();
    return 0;
}
