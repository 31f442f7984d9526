#include "agent/life/config.h"

#include <errno.h>
#include <string.h>

#include "agent/life/sys.h"
#include "agent/life/text.h"
#include "agent/record/capture_program.h"

#define DEFAULT_OUTBOX_BYTES (64ull << 20)
#define DEFAULT_STRING_LIMIT 64u
#define DEFAULT_CAPTURE_WAIT 10u
#define LONGEST_CAPTURE_WAIT 86400u
#define MOST_PATTERNS 256u
#define SECOND_NS 1000000000ull

static const char *variable(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return (*environment)[length + 1] != '\0' ? *environment + length + 1 : NULL;
    return NULL;
}

static int refuse(struct text *error, const char *name, const char *value, const char *advice)
{
    text_add(error, name);
    text_add(error, " is '");
    text_add(error, value);
    text_add(error, "': ");
    text_add(error, advice);
    return -EINVAL;
}

/* A decimal number up to `maximum`, with a suffix K, M or G where `suffixes`. */
static int parse_number(const char *text, bool suffixes, uint64_t maximum, uint64_t *number)
{
    uint64_t value = 0;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    for (; *text >= '0' && *text <= '9'; text++) {
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > maximum)
            return -EINVAL;
    }
    if (suffixes && *text != '\0') {
        const char *suffix = strchr("KMG", *text);
        if (suffix == NULL)
            return -EINVAL;
        unsigned shift = 10u * (unsigned)(suffix - strchr("KMG", 'K') + 1);
        if (value > maximum >> shift)
            return -EINVAL;
        value <<= shift;
        text++;
    }
    *number = value;
    return *text == '\0' ? 0 : -EINVAL;
}

static bool default_socket(struct config *config, char *const *environment)
{
    struct text path = text_in(config->socket_path, sizeof config->socket_path);
    const char *runtime = variable(environment, "XDG_RUNTIME_DIR");
    if (runtime != NULL) {
        text_add(&path, runtime);
        text_add(&path, "/calltrace/collector.sock");
    } else {
        text_add(&path, "/tmp/calltrace-");
        text_add_number(&path, (uint64_t)sys_call3(SYS_getuid, 0, 0, 0));
        text_add(&path, "/collector.sock");
    }
    return !path.cut;
}

static int read_paths(struct config *config, char *const *environment, struct text *error)
{
    const char *value = variable(environment, "CALLTRACE_SOCKET");
    struct text socket = text_in(config->socket_path, sizeof config->socket_path);
    if (value != NULL)
        text_add(&socket, value);
    if (value != NULL && socket.cut)
        return refuse(error, "CALLTRACE_SOCKET", value, "a socket's path has at most 107 bytes");
    if (value == NULL && !default_socket(config, environment)) {
        value = variable(environment, "XDG_RUNTIME_DIR");
        return refuse(error, "XDG_RUNTIME_DIR", value ? value : "",
                      "too long for a socket; set CALLTRACE_SOCKET");
    }
    value = variable(environment, "CALLTRACE_SHM_DIR");
    struct text shm = text_in(config->shm_directory, sizeof config->shm_directory);
    text_add(&shm, value != NULL ? value : "/dev/shm");
    if (shm.cut || config->shm_directory[0] != '/')
        return refuse(error, "CALLTRACE_SHM_DIR", value, "give an absolute path of at most 511 bytes");
    return 0;
}

/* Commas part patterns, but not within brackets: those of a name's parameters. */
static unsigned count_patterns(const char *text)
{
    unsigned commas = 0, parting = 0;
    int depth = 0;
    for (; *text != '\0'; text++) {
        depth += (*text == '(' || *text == '<') - (*text == ')' || *text == '>');
        commas += *text == ',';
        parting += *text == ',' && depth == 0;
    }
    return 1 + (depth == 0 ? parting : commas);
}

static int read_capture(struct config *config, char *const *environment, struct text *error)
{
    const char *value = variable(environment, "CALLTRACE_CAPTURE_ARGS");
    struct text patterns = text_in(config->capture, sizeof config->capture);
    if (value != NULL && strcmp(value, "0") != 0)
        text_add(&patterns, strcmp(value, "1") == 0 ? "*" : value);
    if (patterns.cut || count_patterns(config->capture) > MOST_PATTERNS)
        return refuse(error, "CALLTRACE_CAPTURE_ARGS", "...",
                      "give at most 4096 bytes and 256 patterns, or 1 for all functions");

    uint64_t number = DEFAULT_STRING_LIMIT;
    value = variable(environment, "CALLTRACE_STRING_LIMIT");
    if (value != NULL && (parse_number(value, false, CAPTURE_TEXT_BYTES, &number) < 0 || number == 0))
        return refuse(error, "CALLTRACE_STRING_LIMIT", value, "give bytes from 1 to 1024");
    config->string_limit = (uint32_t)number;

    number = DEFAULT_CAPTURE_WAIT;
    value = variable(environment, "CALLTRACE_CAPTURE_WAIT");
    if (value != NULL && parse_number(value, false, LONGEST_CAPTURE_WAIT, &number) < 0)
        return refuse(error, "CALLTRACE_CAPTURE_WAIT", value, "give seconds, at most 86400; 0: do not wait");
    config->capture_wait_ns = number * SECOND_NS;
    return 0;
}

int config_read(struct config *config, char *const *environment, char *buffer, size_t size)
{
    struct text error = text_in(buffer, size);
    *config = (struct config){.outbox_bytes = DEFAULT_OUTBOX_BYTES};
    int status = read_paths(config, environment, &error);
    if (status < 0)
        return status;

    const char *value = variable(environment, "CALLTRACE_OVERFLOW");
    config->drops = value != NULL && strcmp(value, "drop") == 0;
    if (value != NULL && !config->drops && strcmp(value, "block") != 0)
        return refuse(&error, "CALLTRACE_OVERFLOW", value, "say block or drop");

    value = variable(environment, "CALLTRACE_MAX_DEPTH");
    uint64_t number = 0;
    if (value != NULL && parse_number(value, false, UINT32_MAX, &number) < 0)
        return refuse(&error, "CALLTRACE_MAX_DEPTH", value, "give a number of calls, 0 for no limit");
    config->max_depth = (uint32_t)number;

    value = variable(environment, "CALLTRACE_OUTBOX_LIMIT");
    if (value != NULL &&
        (parse_number(value, true, 4ull << 30, &config->outbox_bytes) < 0 || config->outbox_bytes < 8u << 20))
        return refuse(&error, "CALLTRACE_OUTBOX_LIMIT", value, "give bytes from 8M to 4G");

    value = variable(environment, "CALLTRACE_DEBUG");
    config->debug = value != NULL && strcmp(value, "0") != 0;
    return read_capture(config, environment, &error);
}
