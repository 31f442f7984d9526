#include "agent/interpose/uncaught.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "agent/interpose/real.h"
#include "agent/life/sys.h"
#include "agent/record/ring.h"

/* Exception classes: vendor and language, and in the lowest byte whether it stands for another exception
 * (std::rethrow_exception). https://itanium-cxx-abi.github.io/cxx-abi/abi-eh.html */
#define CLASS_GNU 0x474e5543432b2b00ull   /* "GNUCC++\0" */
#define CLASS_CLANG 0x434c4e47432b2b00ull /* "CLNGC++\0" */
#define CLASS_MASK 0xffffffffffffff00ull
#define CLASS_DEPENDENT 1

/* Slots of virtual tables: of std::type_info in libstdc++, and of std::exception. */
enum { TYPE_DO_CATCH = 4, EXCEPTION_WHAT = 2 };

/* std::type_info, which the Itanium ABI lays out so. */
struct type_info {
    void **methods;
    const char *name; /* begins with '*' where names are compared by address */
};

/* What lies before the thrown object, ending with the unwinder's header (libsupc++'s unwind-cxx.h). */
struct cxx_exception {
    struct type_info *type;
    void *destructor;
    void *unexpected_handler;
    void *terminate_handler;
    void *next;
    int handler_count;
    int handler_switch_value;
    const void *action_record;
    const void *language_specific_data;
    uint64_t catch_temp;
    void *adjusted;
    struct _Unwind_Exception header;
};

typedef bool do_catch_method(const struct type_info *, const struct type_info *, void **, unsigned);
typedef const char *what_method(const void *);

static struct uncaught {
    uint32_t tid; /* 0: being written, or none */
    uint32_t flags;
    uint64_t stack_pointer; /* of what raised it */
    char type[CRASH_TYPE_BYTES];
    char what[CRASH_WHAT_BYTES];
} uncaught;

/* The header of the exception itself, given its unwinder's header; NULL: not of C++. */
static const struct cxx_exception *find_header(const struct _Unwind_Exception *exception)
{
    uint64_t vendor = exception->exception_class & CLASS_MASK;
    if (vendor != CLASS_GNU && vendor != CLASS_CLANG)
        return NULL;
    const uint8_t *begin = (const uint8_t *)exception - offsetof(struct cxx_exception, header);
    const struct cxx_exception *header = (const void *)begin;
    if ((exception->exception_class & 0xff) == CLASS_DEPENDENT) /* begins with the object it stands for */
        header = *(const struct cxx_exception *const *)(const void *)begin - 1;
    return header;
}

/* The object as a std::exception, or NULL. */
static void *as_std_exception(const struct cxx_exception *header)
{
    static void *place;
    const struct type_info *base = real_once(&place, "_ZTISt9exception");
    if (base == NULL)
        return NULL;
    void *object = (void *)(uintptr_t)(header + 1);
    do_catch_method *do_catch = (do_catch_method *)base->methods[TYPE_DO_CATCH];
    return do_catch(base, header->type, &object, 1) ? object : NULL;
}

static bool copy_string(char *to, size_t size, const char *from)
{
    if (from == NULL)
        return false;
    size_t length = strnlen(from, size - 1);
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

static bool copy_what(struct uncaught *u, const struct cxx_exception *header)
{
    void *object = as_std_exception(header);
    if (object == NULL)
        return false;
    what_method *what = (what_method *)(*(void ***)object)[EXCEPTION_WHAT];
    return copy_string(u->what, sizeof u->what, what(object));
}

void uncaught_remember(struct _Unwind_Exception *exception, uint64_t stack_pointer)
{
    const struct cxx_exception *header = find_header(exception);
    if (header == NULL || header->type == NULL || header->type->name == NULL)
        return;
    struct uncaught *u = &uncaught;
    int saved = errno;
    __atomic_store_n(&u->tid, 0, __ATOMIC_RELEASE);
    const char *name = header->type->name;
    copy_string(u->type, sizeof u->type, name + (*name == '*'));
    u->flags = CRASH_HAS_TYPE;
    u->stack_pointer = stack_pointer;
    struct producer *recording = ring_mute();
    if ((exception->exception_class & CLASS_MASK) == CLASS_GNU && copy_what(u, header))
        u->flags |= CRASH_HAS_WHAT;
    ring_unmute(recording);
    __atomic_store_n(&u->tid, (uint32_t)sys_call3(SYS_gettid, 0, 0, 0), __ATOMIC_RELEASE);
    errno = saved;
}

/* `throw;`, which does not come by _Unwind_RaiseException. */
EXPORT _Unwind_Reason_Code _Unwind_Resume_or_Rethrow(struct _Unwind_Exception *exception)
{
    typedef _Unwind_Reason_Code rethrow_function(struct _Unwind_Exception *);
    static void *place;
    rethrow_function *rethrow = real_once(&place, "_Unwind_Resume_or_Rethrow");
    _Unwind_Reason_Code reason = rethrow(exception);
    uncaught_remember(exception, STACK_POINTER());
    return reason;
}

/* What a thread has caught last (libsupc++'s __cxa_eh_globals). */
struct eh_globals {
    struct cxx_exception *caught;
    unsigned uncaught_count;
};

/* std::terminate(): clang's code calls it with the exception that must not leave a function (noexcept)
 * caught; and who calls it in a handler, does so for the exception's sake. */
EXPORT void _ZSt9terminatev(void)
{
    typedef struct eh_globals *globals_function(void);
    typedef void terminate_function(void);
    static void *globals_place, *terminate_place;
    globals_function *globals = real_once(&globals_place, "__cxa_get_globals");
    const struct eh_globals *of_thread = globals != NULL ? globals() : NULL;
    if (of_thread != NULL && of_thread->caught != NULL)
        uncaught_remember(&of_thread->caught->header, STACK_POINTER());
    ((terminate_function *)real_once(&terminate_place, "_ZSt9terminatev"))();
    __builtin_unreachable();
}

uint32_t uncaught_copy(struct crash_slot *slot, uint64_t stack_pointer)
{
    const struct uncaught *u = &uncaught;
    if (__atomic_load_n(&u->tid, __ATOMIC_ACQUIRE) != slot->tid || stack_pointer >= u->stack_pointer)
        return 0;
    memcpy(slot->exception_type, u->type, sizeof u->type);
    memcpy(slot->exception_what, u->what, sizeof u->what);
    return u->flags;
}
