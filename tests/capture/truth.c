/* The part of a generated program that is the same in all of them: it is never instrumented. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truth.h"

#define MOST_OBJECTS 4096

/* --- what functions do with values --- */

void use_l(long value)
{
    (void)value;
}

void use_d(double value)
{
    (void)value;
}

void use_p(const void *pointer)
{
    (void)pointer;
}

void fill(void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] ^= (unsigned char)(i * 7 + 1);
}

long src(void)
{
    static unsigned long state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (long)(state >> 40) % 1000 - 400;
}

/* clang's hooks name this function of std::string, which is always inlined and so nowhere defined. */
__attribute__((weak)) void _ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE17_M_use_local_dataEv(void)
{
}

int fuel_left;

int fuel(void)
{
    return fuel_left > 0 ? fuel_left-- : 0;
}

/* --- objects that pointers may lead to --- */

#ifndef TRUTH

void truth_object(const char *name, const void *address, size_t size)
{
    printf("%s 0x%" PRIxPTR " %zu\n", name, (uintptr_t)address, size);
}

#else

static struct {
    const char *name;
    uintptr_t address;
    size_t size;
} objects[MOST_OBJECTS];
static size_t object_count;

void truth_object(const char *name, const void *address, size_t size)
{
    if (object_count == MOST_OBJECTS)
        abort();
    objects[object_count].name = name;
    objects[object_count].address = (uintptr_t)address;
    objects[object_count++].size = size;
}

/* --- the log --- */

static FILE *log_file;
static char last;

static void put(const char *text)
{
    fputs(text, log_file);
    last = text[strlen(text) - 1];
}

/* Values in a list, and members in an object, have commas between them. */
static void separate(void)
{
    if (last != '{' && last != '[' && last != ':')
        put(",");
}

static void start(const char *what, const char *function)
{
    if (!log_file && !(log_file = fopen(getenv("TRUTH_LOG"), "w")))
        abort();
    fprintf(log_file, "{\"%s\":\"%s\",\"values\":{", what, function);
    last = '{';
}

void truth_enter(const char *function)
{
    start("enter", function);
}

void truth_leave(const char *function)
{
    start("leave", function);
}

void truth_unwound(const char *function)
{
    start("unwound", function);
    truth_end();
}

void truth_end(void)
{
    put("}}\n");
}

void truth_name(const char *name)
{
    separate();
    fprintf(log_file, "\"%s\":", name);
    last = ':';
}

void truth_open(char bracket)
{
    separate();
    put(bracket == '{' ? "{" : "[");
}

void truth_close(char bracket)
{
    put(bracket == '}' ? "}" : "]");
}

void truth_unsigned(unsigned __int128 value)
{
    char digits[48], *digit = digits + sizeof digits;
    *--digit = 0;
    do
        *--digit = (char)('0' + (int)(value % 10));
    while (value /= 10);
    separate();
    put(digit);
}

void truth_integer(__int128 value)
{
    if (value >= 0) {
        truth_unsigned((unsigned __int128)value);
        return;
    }
    separate();
    put("-");
    last = ':';
    truth_unsigned(-(unsigned __int128)value);
}

void truth_boolean(bool value)
{
    separate();
    put(value ? "true" : "false");
}

void truth_real(double value)
{
    separate();
    fprintf(log_file, "\"%a\"", value);
    last = '"';
}

void truth_long_real(long double value)
{
    separate();
    fprintf(log_file, "\"%.21Lg\"", value);
    last = '"';
}

void truth_bytes(const char *bytes, size_t size)
{
    separate();
    put("\"");
    for (size_t i = 0; i < size; i++)
        fprintf(log_file, "%02x", (unsigned char)bytes[i]);
    put("\"");
}

void truth_text(const char *text)
{
    if (text) {
        truth_bytes(text, strlen(text));
        return;
    }
    separate();
    put("null");
}

void truth_pointer(const void *pointer)
{
    uintptr_t address = (uintptr_t)pointer;
    separate();
    for (size_t i = 0; pointer && i < object_count; i++) {
        if (address - objects[i].address < objects[i].size) {
            fprintf(log_file, "[\"%s\",%zu]", objects[i].name, (size_t)(address - objects[i].address));
            last = ']';
            return;
        }
    }
    put(pointer ? "\"elsewhere\"" : "null");
}

#endif
