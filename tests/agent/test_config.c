/* What the environment says, and what is said about it. */
#include "agent/life/config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/life/text.h"
#include "tests/agent/check.h"

#define SECOND_NS 1000000000ull
#define ENVIRONMENT(...) ((char *const[]){__VA_ARGS__, NULL})

static struct config config;
static char error[512];

static void read_well(char *const *environment)
{
    memset(&config, 0x55, sizeof config);
    CHECK_EQUAL(config_read(&config, environment, error, sizeof error), 0);
    CHECK(strcmp(error, "") == 0);
}

/* Refused, with one line that names the variable. */
static void refuse(const char *variable, char *const *environment)
{
    CHECK_EQUAL(config_read(&config, environment, error, sizeof error), -EINVAL);
    CHECK(strncmp(error, variable, strlen(variable)) == 0);
    CHECK(strncmp(error + strlen(variable), " is '", 5) == 0);
    CHECK(strchr(error, '\n') == NULL);
}

static void test_defaults(void)
{
    char expected[64];
    snprintf(expected, sizeof expected, "/tmp/calltrace-%u/collector.sock", getuid());
    char *const *environments[] = {
        NULL,
        (char *const[]){NULL},
        ENVIRONMENT("PATH=/bin", "CALLTRACE_SOCKETS=/x", "XCALLTRACE_SOCKET=/y", "=", ""),
        /* Empty is as good as not set. */
        ENVIRONMENT("CALLTRACE_SOCKET=", "CALLTRACE_SHM_DIR=", "CALLTRACE_OVERFLOW=", "CALLTRACE_MAX_DEPTH=",
                    "CALLTRACE_OUTBOX_LIMIT=", "CALLTRACE_DEBUG=", "CALLTRACE_CAPTURE_ARGS=",
                    "CALLTRACE_STRING_LIMIT=", "CALLTRACE_CAPTURE_WAIT=", "XDG_RUNTIME_DIR="),
    };
    for (size_t i = 0; i < sizeof environments / sizeof *environments; i++) {
        read_well(environments[i]);
        CHECK(strcmp(config.socket_path, expected) == 0);
        CHECK(strcmp(config.shm_directory, "/dev/shm") == 0);
        CHECK_EQUAL(config.outbox_bytes, 64 << 20);
        CHECK_EQUAL(config.max_depth, 0);
        CHECK(!config.drops && !config.debug);
        CHECK(strcmp(config.capture, "") == 0);
        CHECK_EQUAL(config.string_limit, 64);
        CHECK(config.capture_wait_ns == 10 * SECOND_NS);
    }
}

static void test_chosen(void)
{
    read_well(ENVIRONMENT("CALLTRACE_SOCKET=/run/x.sock", "XDG_RUNTIME_DIR=/run/user/7",
                          "CALLTRACE_SHM_DIR=/var/tmp", "CALLTRACE_OVERFLOW=drop",
                          "CALLTRACE_MAX_DEPTH=4294967295", "CALLTRACE_OUTBOX_LIMIT=8M",
                          "CALLTRACE_DEBUG=1"));
    CHECK(strcmp(config.socket_path, "/run/x.sock") == 0);
    CHECK(strcmp(config.shm_directory, "/var/tmp") == 0);
    CHECK(config.drops && config.debug);
    CHECK_EQUAL(config.max_depth, UINT32_MAX);
    CHECK_EQUAL(config.outbox_bytes, 8 << 20);

    read_well(ENVIRONMENT("XDG_RUNTIME_DIR=/run/user/7", "CALLTRACE_OVERFLOW=block", "CALLTRACE_DEBUG=0"));
    CHECK(strcmp(config.socket_path, "/run/user/7/calltrace/collector.sock") == 0);
    CHECK(!config.drops && !config.debug);
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } sizes[] = {
        {"8388608", 8 << 20},
        {"8388607", 0},
        {"8192K", 8 << 20},
        {"8191K", 0},
        {"64M", 64 << 20},
        {"1G", 1 << 30},
        {"4G", 4ull << 30},
        {"4294967296", 4ull << 30},
        {"4294967297", 0},
        {"5G", 0},
        {"4194305K", 0},
        {"99999999999999999999999999", 0},
        {"18446744073709551616M", 0},
        {"64m", 0},
        {"64MB", 0},
        {"64 M", 0},
        {" 64M", 0},
        {"M", 0},
        {"-8M", 0},
        {"+8M", 0},
        {"8.5M", 0},
        {"0x800000", 0},
        {"64MM", 0},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "CALLTRACE_OUTBOX_LIMIT=%s", sizes[i].text);
        if (sizes[i].bytes == 0) {
            refuse("CALLTRACE_OUTBOX_LIMIT", ENVIRONMENT(variable));
            CHECK(strstr(error, sizes[i].text) != NULL);
            continue;
        }
        read_well(ENVIRONMENT(variable));
        CHECK_EQUAL(config.outbox_bytes, sizes[i].bytes);
    }
}

static void test_refused(void)
{
    refuse("CALLTRACE_OVERFLOW", ENVIRONMENT("CALLTRACE_OVERFLOW=Drop"));
    refuse("CALLTRACE_OVERFLOW", ENVIRONMENT("CALLTRACE_OVERFLOW=dropped"));
    refuse("CALLTRACE_MAX_DEPTH", ENVIRONMENT("CALLTRACE_MAX_DEPTH=4294967296"));
    refuse("CALLTRACE_MAX_DEPTH", ENVIRONMENT("CALLTRACE_MAX_DEPTH=10K"));
    refuse("CALLTRACE_MAX_DEPTH", ENVIRONMENT("CALLTRACE_MAX_DEPTH=-1"));
    refuse("CALLTRACE_MAX_DEPTH", ENVIRONMENT("CALLTRACE_MAX_DEPTH=deep"));
    refuse("CALLTRACE_SHM_DIR", ENVIRONMENT("CALLTRACE_SHM_DIR=tmp"));
}

static void test_capture(void)
{
    read_well(
        ENVIRONMENT("CALLTRACE_CAPTURE_ARGS=1", "CALLTRACE_STRING_LIMIT=1", "CALLTRACE_CAPTURE_WAIT=0"));
    CHECK(strcmp(config.capture, "*") == 0);
    CHECK_EQUAL(config.string_limit, 1);
    CHECK(config.capture_wait_ns == 0);
    read_well(ENVIRONMENT("CALLTRACE_CAPTURE_ARGS=0", "CALLTRACE_STRING_LIMIT=1024",
                          "CALLTRACE_CAPTURE_WAIT=86400"));
    CHECK(strcmp(config.capture, "") == 0);
    CHECK_EQUAL(config.string_limit, 1024);
    CHECK(config.capture_wait_ns == 86400 * SECOND_NS);
    read_well(ENVIRONMENT("CALLTRACE_CAPTURE_ARGS=parse_*,ns::get<int, long>(int)"));
    CHECK(strcmp(config.capture, "parse_*,ns::get<int, long>(int)") == 0);
    refuse("CALLTRACE_STRING_LIMIT", ENVIRONMENT("CALLTRACE_STRING_LIMIT=0"));
    refuse("CALLTRACE_STRING_LIMIT", ENVIRONMENT("CALLTRACE_STRING_LIMIT=1025"));
    refuse("CALLTRACE_STRING_LIMIT", ENVIRONMENT("CALLTRACE_STRING_LIMIT=1K"));
    refuse("CALLTRACE_CAPTURE_WAIT", ENVIRONMENT("CALLTRACE_CAPTURE_WAIT=86401"));
    refuse("CALLTRACE_CAPTURE_WAIT", ENVIRONMENT("CALLTRACE_CAPTURE_WAIT=0.5"));
}

/* Patterns of as many bytes as there may be, or one more; and so many patterns, parted by `comma`. */
static void check_patterns(size_t bytes, unsigned patterns, const char *comma, bool fits)
{
    static char variable[8192];
    struct text t = text_in(variable, sizeof variable);
    text_add(&t, "CALLTRACE_CAPTURE_ARGS=");
    size_t begin = t.length;
    for (unsigned i = 1; i < patterns; i++)
        text_add(&t, comma);
    while (t.length - begin < bytes)
        text_add(&t, "x");
    if (!fits) {
        refuse("CALLTRACE_CAPTURE_ARGS", ENVIRONMENT(variable));
        return;
    }
    read_well(ENVIRONMENT(variable));
    CHECK(strcmp(config.capture, variable + begin) == 0);
}

static void test_many_patterns(void)
{
    check_patterns(4096, 1, "", true);
    check_patterns(4097, 1, "", false);
    check_patterns(0, 256, "a,", true);
    check_patterns(0, 257, "a,", false);
    /* Within brackets a comma parts nothing; but where these do not match, they are none. */
    check_patterns(0, 300, "a<b,c>", true);
    check_patterns(0, 300, "a(b,c)", true);
    check_patterns(0, 257, "a(b,", false);
}

/* A path one byte too long is refused, one that just fits is taken whole. */
static void test_long_paths(void)
{
    static char variable[2048];
    const struct {
        const char *name;
        const char *path; /* member of config */
        size_t largest;
        const char *behind; /* what is added to the value */
    } paths[] = {
        {"CALLTRACE_SOCKET", config.socket_path, SOCKET_PATH_BYTES - 1, ""},
        {"CALLTRACE_SHM_DIR", config.shm_directory, CONFIG_PATH_BYTES - 1, ""},
        {"XDG_RUNTIME_DIR", config.socket_path, SOCKET_PATH_BYTES - 1, "/calltrace/collector.sock"},
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int begin = snprintf(variable, sizeof variable, "%s=/", paths[i].name);
        size_t length = paths[i].largest - strlen(paths[i].behind);
        memset(variable + begin, 'x', length);
        variable[begin + (int)length] = '\0'; /* one too many, with the slash */
        refuse(paths[i].name, ENVIRONMENT(variable));
        variable[begin + (int)length - 1] = '\0';
        read_well(ENVIRONMENT(variable));
        CHECK_EQUAL(strlen(paths[i].path), paths[i].largest);
        CHECK(strncmp(paths[i].path, variable + begin - 1, length) == 0);
        CHECK(strcmp(paths[i].path + length, paths[i].behind) == 0);
    }
}

/* The line about a mistake is cut, not written past its end. */
static void test_small_error(void)
{
    char small[24];
    memset(small, '#', sizeof small);
    CHECK_EQUAL(config_read(&config, ENVIRONMENT("CALLTRACE_OVERFLOW=perhaps"), small, 20), -EINVAL);
    CHECK(strcmp(small, "CALLTRACE_OVERFLOW ") == 0);
    CHECK(small[20] == '#');
}

int main(void)
{
    test_defaults();
    test_chosen();
    test_sizes();
    test_refused();
    test_capture();
    test_many_patterns();
    test_long_paths();
    test_small_error();
    return 0;
}
