/*
 * What generated programs write down about themselves. The reference build (-DTRUTH) logs every call with
 * what was passed and returned, a JSON object a line, to the file that TRUTH_LOG names. The traced build logs
 * nothing: it only prints where its global objects are.
 */
#ifndef TESTS_CAPTURE_TRUTH_H
#define TESTS_CAPTURE_TRUTH_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
#include <exception>
extern "C" {
#endif

/* Of the driver: what functions do with values, so that they are of use. */
void use_l(long value);
void use_d(double value);
void use_p(const void *pointer);
void fill(void *bytes, size_t size); /* changes all of them, always in the same way */
long src(void);                      /* another number each time */
int fuel(void);                      /* 0: call nothing more */

#ifdef TRUTH

void truth_enter(const char *function);
void truth_leave(const char *function);
void truth_unwound(const char *function);
void truth_end(void);
void truth_name(const char *name); /* of a parameter or a member: follows its value */
void truth_open(char bracket);
void truth_close(char bracket);
void truth_integer(__int128 value);
void truth_unsigned(unsigned __int128 value);
void truth_boolean(bool value);
void truth_real(double value);
void truth_long_real(long double value);
void truth_text(const char *text);
void truth_bytes(const char *bytes, size_t size);
void truth_pointer(const void *pointer);

#define ENTER(function, ...)                                                                                 \
    TRUTH_GUARD(function);                                                                                   \
    truth_enter(function);                                                                                   \
    __VA_ARGS__;                                                                                             \
    truth_end()
#define RETURN(function, type, log, ...)                                                                     \
    do {                                                                                                     \
        type r_ = __VA_ARGS__;                                                                               \
        truth_leave(function);                                                                               \
        truth_name("return");                                                                                \
        log(r_);                                                                                             \
        truth_end();                                                                                         \
        return r_;                                                                                           \
    } while (0)
#define RETURN_VOID(function)                                                                                \
    do {                                                                                                     \
        truth_leave(function);                                                                               \
        truth_end();                                                                                         \
        return;                                                                                              \
    } while (0)

#else

#define ENTER(...)
#define RETURN(function, type, log, ...) return __VA_ARGS__
#define RETURN_VOID(function) return

#endif

void truth_object(const char *name, const void *address, size_t size);

#ifdef __cplusplus
}

#ifdef TRUTH
struct truth_guard {
    const char *function;
    int exceptions;
    explicit truth_guard(const char *name) : function(name), exceptions(std::uncaught_exceptions())
    {
    }
    ~truth_guard()
    {
        if (std::uncaught_exceptions() > exceptions)
            truth_unwound(function);
    }
};
#define TRUTH_GUARD(function)                                                                                \
    truth_guard guard_                                                                                       \
    {                                                                                                        \
        function                                                                                             \
    }
#endif
#else
#define TRUTH_GUARD(function) (void)0
#endif

#endif
