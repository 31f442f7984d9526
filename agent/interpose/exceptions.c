/*
 * Exceptions: when the stack begins to be unwound, and when a handler has ended that.
 */
#include <stdbool.h>
#include <stdint.h>
#include <unwind.h>

#include "agent/interpose/real.h"
#include "agent/interpose/uncaught.h"
#include "agent/life/crash.h"
#include "agent/record/record.h"

typedef _Unwind_Reason_Code raise_function(struct _Unwind_Exception *);
typedef void *catch_function(void *);
typedef _Unwind_Word cfa_function(struct _Unwind_Context *);

static void *real_raise, *real_begin_catch, *real_cxx_personality, *real_c_personality, *real_frame_address;

EXPORT _Unwind_Reason_Code _Unwind_RaiseException(struct _Unwind_Exception *exception)
{
    raise_function *raise = real_once(&real_raise, "_Unwind_RaiseException");
    record_note(NOTE_RAISE, 0, STACK_POINTER());
    _Unwind_Reason_Code reason = raise(exception);
    uncaught_remember(exception, STACK_POINTER()); /* it has returned: nobody catches it */
    return reason;
}

/* The unwinder is asking a function what to do. */
static _Thread_local bool asking;

EXPORT void *__cxa_begin_catch(void *exception)
{
    catch_function *begin_catch = real_once(&real_begin_catch, "__cxa_begin_catch");
    record_note(NOTE_CATCH, 0, STACK_POINTER());
    if (asking) /* the answer is that it must not leave this function (noexcept): std::terminate() is next */
        uncaught_remember(exception, STACK_POINTER());
    return begin_catch(exception);
}

/* The unwinder asks each function that it comes to whether there is something to clean up or to catch; if so,
 * the function goes on there. So also when pthread_exit or a cancellation unwinds the stack, from within
 * libc, which calls none of the above. */
static _Unwind_Reason_Code ask(_Unwind_Personality_Fn personality, int version, _Unwind_Action actions,
                               _Unwind_Exception_Class class, struct _Unwind_Exception *exception,
                               struct _Unwind_Context *context)
{
    asking = true;
    _Unwind_Reason_Code answer = personality(version, actions, class, exception, context);
    asking = false;
    if (answer != _URC_INSTALL_CONTEXT)
        return answer;
    /* The frame address of what the function called: that is its own stack pointer. */
    cfa_function *frame_address = real_once(&real_frame_address, "_Unwind_GetCFA");
    uint64_t stack_pointer = frame_address(context);
    if ((actions & _UA_FORCE_UNWIND) != 0)
        record_note(NOTE_FORCED, 0, stack_pointer);
    record_note(NOTE_LAND, 0, stack_pointer);
    crash_jump(stack_pointer);
    return answer;
}

EXPORT _Unwind_Reason_Code __gxx_personality_v0(int version, _Unwind_Action actions,
                                                _Unwind_Exception_Class class,
                                                struct _Unwind_Exception *exception,
                                                struct _Unwind_Context *context)
{
    void *personality = real_once(&real_cxx_personality, "__gxx_personality_v0");
    return ask((_Unwind_Personality_Fn)personality, version, actions, class, exception, context);
}

EXPORT _Unwind_Reason_Code __gcc_personality_v0(int version, _Unwind_Action actions,
                                                _Unwind_Exception_Class class,
                                                struct _Unwind_Exception *exception,
                                                struct _Unwind_Context *context)
{
    void *personality = real_once(&real_c_personality, "__gcc_personality_v0");
    return ask((_Unwind_Personality_Fn)personality, version, actions, class, exception, context);
}
