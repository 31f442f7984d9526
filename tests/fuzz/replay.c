/*
 * Gives a fuzzer every file of a corpus, and every beginning of it: a parser must bear input that stops
 * anywhere. Usage: fuzz_NAME FOLDER. Exit status 1 when the folder holds no input.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX_BYTES = 1 << 20, PREFIXES_MAX_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each input lies in memory of just its size, so that a sanitizer sees a read past its end. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay(const uint8_t *data, size_t size)
{
    size_t prefixes = size < PREFIXES_MAX_BYTES ? size : PREFIXES_MAX_BYTES;
    for (size_t length = 0; length < prefixes; length++)
        run(data, length);
    run(data, size);
}

static int replay_file(const char *folder, const char *name)
{
    static uint8_t data[INPUT_MAX_BYTES];
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return -1;
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    size_t size = fread(data, 1, sizeof data, file);
    int failed = ferror(file) || !feof(file);
    fclose(file);
    if (failed)
        return -1;
    replay(data, size);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 1;
    }
    unsigned inputs = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (replay_file(argv[1], entry->d_name) != 0) {
            fprintf(stderr, "%s/%s: cannot be read, or is larger than %d bytes\n", argv[1], entry->d_name,
                    INPUT_MAX_BYTES);
            return 1;
        }
        inputs++;
    }
    closedir(folder);
    printf("%u inputs\n", inputs);
    return inputs ? 0 : 1;
}
