/* sigaction() and its relatives do and tell what libc's do, with our handler in front of the program's. The
 * oracle is libc: every scenario runs in two processes, in one of which our handler is in place. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/life/altstack.h"
#include "agent/life/crash.h"
#include "tests/agent/check.h"

/* Declared for programs that ask for them, which need not all be here. */
extern sighandler_t bsd_signal(int signal, sighandler_t handler);
extern sighandler_t sysv_signal(int signal, sighandler_t handler);
extern sighandler_t __sysv_signal(int signal, sighandler_t handler);
extern int __sigaction(int signal, const struct sigaction *action, struct sigaction *old);

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static const int signals[] = {SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGSYS, SIGUSR1};
enum { SIGNALS = sizeof signals / sizeof signals[0], LOG_BYTES = 64 << 10 };

static char told[LOG_BYTES];
static size_t told_bytes;

static void tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(told + told_bytes, sizeof told - told_bytes, format, arguments);
    va_end(arguments);
    CHECK(length >= 0 && (size_t)length < sizeof told - told_bytes);
    told_bytes += (size_t)length;
}

static void on_one(int signal);
static void on_two(int signal, siginfo_t *info, void *context);

static const char *name(sighandler_t handler)
{
    return handler == SIG_DFL                             ? "default"
           : handler == SIG_IGN                           ? "ignore"
           : handler == SIG_ERR                           ? "error"
           : handler == SIG_HOLD                          ? "hold"
           : handler == on_one                            ? "one"
           : handler == (sighandler_t)(uintptr_t)(on_two) ? "two"
                                                          : "another";
}

static void tell_mask(void)
{
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    tell(" [");
    for (int signal = 1; signal < NSIG; signal++)
        if (sigismember(&mask, signal) == 1)
            tell("%d ", signal);
    tell("]");
}

static void tell_action(const struct sigaction *action)
{
    tell(" %s flags %#x restorer %d mask", name(action->sa_handler), action->sa_flags,
         action->sa_restorer != NULL);
    for (int signal = 1; signal < NSIG; signal++)
        if (sigismember(&action->sa_mask, signal) == 1)
            tell(" %d", signal);
    tell("\n");
}

static void query(int signal)
{
    struct sigaction action;
    memset(&action, 0x55, sizeof action);
    tell("%d is", signal);
    CHECK(sigaction(signal, NULL, &action) == 0);
    tell_action(&action);
}

static void on_one(int signal)
{
    tell("one: %d", signal);
    tell_mask();
    tell("\n");
    query(signal);
}

static void on_two(int signal, siginfo_t *info, void *context)
{
    tell("two: %d code %d by us %d context %d", signal, info->si_code, info->si_pid == getpid(),
         context != NULL);
    tell_mask();
    tell("\n");
    struct sigaction action = {.sa_handler = on_one, .sa_flags = SA_RESTART};
    tell("in the handler %d", sigaction(signal, &action, NULL));
    query(signal);
}

static void set(int signal, sighandler_t handler, int flags, int blocked)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
    memset(&old, 0x55, sizeof old);
    sigaddset(&action.sa_mask, blocked);
    errno = 77;
    tell("set %d to %s with %#x: %d", signal, name(handler), flags, sigaction(signal, &action, &old));
    tell(" errno %d, was", errno);
    tell_action(&old);
    query(signal);
}

static void use_sigaction(int signal)
{
    const int flags[] = {0, SA_RESTART | SA_NODEFER, SA_ONSTACK | SA_NOCLDSTOP, SA_RESETHAND,
                         SA_RESETHAND | SA_NODEFER};
    query(signal);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        set(signal, on_one, flags[i], SIGUSR2);
        raise(signal);
        query(signal);
        set(signal, SIG_DFL, flags[i], SIGKILL);
        set(signal, SIG_IGN, flags[i], SIGHUP);
        raise(signal);
        set(signal, (sighandler_t)(uintptr_t)on_two, flags[i] | SA_SIGINFO, SIGCHLD);
        raise(signal);
        raise(signal);
        query(signal);
    }
    struct sigaction action = {.sa_handler = on_one};
    CHECK(__sigaction(signal, &action, NULL) == 0);
    query(signal);
}

static void use_relative(int signal, const char *what, sighandler_t relative(int, sighandler_t))
{
    const sighandler_t handlers[] = {on_one, SIG_IGN, on_one, SIG_DFL, SIG_DFL, on_one};
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        errno = 78;
        tell("%s(%d, %s) ", what, signal, name(handlers[i]));
        sighandler_t before = relative(signal, handlers[i]);
        tell("says %s, errno %d\n", name(before), errno);
        query(signal);
        if (handlers[i] != SIG_DFL)
            raise(signal);
        query(signal);
    }
}

static void use_relatives(int number)
{
    use_relative(number, "signal", signal);
    use_relative(number, "bsd_signal", bsd_signal);
    use_relative(number, "ssignal", ssignal);
    use_relative(number, "sysv_signal", sysv_signal);
    use_relative(number, "__sysv_signal", __sysv_signal);
    use_relative(number, "sigset", sigset);
}

static void use_sigset(int signal)
{
    const sighandler_t handlers[] = {SIG_HOLD, on_one, SIG_HOLD, SIG_HOLD, SIG_DFL};
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        tell("sigset(%d, %s) says %s", signal, name(handlers[i]), name(sigset(signal, handlers[i])));
        tell_mask();
        tell("\n");
        query(signal);
    }
    tell("sigignore says %d\n", sigignore(signal));
    query(signal);
}

static void use_siginterrupt(int number)
{
    for (int interrupt = 0; interrupt < 2; interrupt++) {
        signal(number, on_one);
        tell("siginterrupt says %d\n", siginterrupt(number, interrupt));
        query(number);
        signal(number, on_one); /* remembers it */
        query(number);
        signal(number, SIG_DFL);
        tell("siginterrupt says %d\n", siginterrupt(number, interrupt));
        query(number);
    }
}

static void use_what_is_wrong(int unused)
{
    (void)unused;
    const int wrong[] = {0, -1, 65, SIGKILL, SIGSTOP, 32, 1000};
    struct sigaction action = {.sa_handler = on_one};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        errno = 0;
        tell("%d: %d", wrong[i], sigaction(wrong[i], &action, NULL));
        tell(" errno %d; ", errno);
        tell("%s errno %d; ", name(signal(wrong[i], on_one)), errno);
        tell("%d errno %d\n", sigignore(wrong[i]), errno);
    }
    tell("%s errno %d\n", name(signal(SIGSEGV, SIG_ERR)), errno);
}

/* What a child made by vfork chooses is its own business; so is what one made by fork does. */
static void use_children(int number)
{
    signal(number, on_one);
    pid_t child = vfork();
    if (child == 0) {
        signal(number, SIG_DFL);
        struct sigaction action;
        sigaction(number, NULL, &action);
        _exit(action.sa_handler == SIG_DFL ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    tell("child %#x\n", status);
    query(number);
    raise(number);
    child = fork();
    if (child == 0) {
        struct sigaction action;
        sigaction(number, NULL, &action);
        bool inherited = action.sa_handler == on_one;
        signal(number, SIG_DFL);
        if (inherited)
            raise(number);
        _exit(9);
    }
    waitpid(child, &status, 0);
    tell("child %#x\n", status);
    query(number);
    raise(number);
}

static void tell_stack(const char *what, int status, const stack_t *stack, const void *own)
{
    tell("%s %d errno %d: %s flags %#x size %zu\n", what, status, errno,
         stack->ss_sp == NULL  ? "none"
         : stack->ss_sp == own ? "own"
                               : "another",
         stack->ss_flags, stack->ss_size);
}

static stack_t seen_in_handler, saved_in_context;

static void look_at_stack(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    CHECK(sigaltstack(NULL, &seen_in_handler) == 0);
    saved_in_context = ((ucontext_t *)context)->uc_stack;
}

static void use_altstacks(int signal)
{
    static char own[32 << 10];
    const stack_t stacks[] = {
        {.ss_sp = own, .ss_size = sizeof own},
        {.ss_sp = own, .ss_size = sizeof own, .ss_flags = SS_DISABLE},
        {.ss_sp = own, .ss_size = 100},
        {.ss_sp = own, .ss_size = sizeof own, .ss_flags = 64},
        {.ss_sp = own, .ss_size = sizeof own / 2, .ss_flags = SS_ONSTACK},
        {.ss_flags = SS_DISABLE},
    };
    stack_t old;
    struct sigaction action = {.sa_sigaction = look_at_stack, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(signal, &action, NULL);
    for (size_t i = 0; i < 2 * sizeof stacks / sizeof stacks[0]; i++) {
        errno = 0;
        tell_stack("query", sigaltstack(NULL, &old), &old, own);
        raise(signal);
        tell_stack("in the handler", 0, &seen_in_handler, own);
        tell_stack("in its context", 0, &saved_in_context, own);
        memset(&old, 0, sizeof old);
        tell_stack("set", sigaltstack(&stacks[i / 2], &old), &old, own);
    }
}

typedef void scenario(int signal);

/* Runs a scenario in a process of its own; returns the bytes of what it told. */
static size_t run(scenario *play, int signal, bool watched, char *log)
{
    int pipe_ends[2];
    CHECK(pipe(pipe_ends) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (watched) {
            crash_watch();
            altstack_give(altstack_make());
        }
        play(signal);
        CHECK(write(pipe_ends[1], told, told_bytes) == (ssize_t)told_bytes);
        _exit(0);
    }
    close(pipe_ends[1]);
    size_t size = 0;
    ssize_t got;
    while ((got = read(pipe_ends[0], log + size, LOG_BYTES - size)) > 0)
        size += (size_t)got;
    close(pipe_ends[0]);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQUAL(status, 0);
    CHECK(size > 0 && size < LOG_BYTES);
    return size;
}

static void compare(const char *what, scenario *play, int signal)
{
    static char plain[LOG_BYTES + 1], watched[LOG_BYTES + 1];
    plain[run(play, signal, false, plain)] = '\0';
    watched[run(play, signal, true, watched)] = '\0';
    if (strcmp(plain, watched) == 0)
        return;
    size_t line = 0;
    for (size_t i = 0; plain[i] == watched[i]; i++)
        if (plain[i] == '\n')
            line = i + 1;
    fprintf(stderr, "%s of signal %d:\n- %.300s\n+ %.300s\n", what, signal, plain + line, watched + line);
    exit(1);
}

/* ---- many threads ---- */

enum { THREADS = 4, TURNS = 2000 };
static int calls;

static void count_one(int signal)
{
    (void)signal;
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
}

static void count_two(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    CHECK(info->si_code == SI_TKILL);
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
}

static void *choose_and_raise(void *unused)
{
    for (int i = 0; i < TURNS; i++) {
        struct sigaction action = {.sa_sigaction = count_two, .sa_flags = SA_SIGINFO}, old;
        if (i % 2 == 0)
            signal(SIGFPE, count_one);
        else
            CHECK(sigaction(SIGFPE, &action, &old) == 0 && old.sa_handler != SIG_DFL);
        raise(SIGFPE);
    }
    return unused;
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    crash_watch();
    signal(SIGFPE, count_one);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, choose_and_raise, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(calls, THREADS * TURNS);
}

static void test_scenarios(void)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        compare("sigaction", use_sigaction, signals[i]);
        compare("the relatives", use_relatives, signals[i]);
        compare("sigset", use_sigset, signals[i]);
        compare("siginterrupt", use_siginterrupt, signals[i]);
        compare("children", use_children, signals[i]);
        if (signals[i] != SIGUSR1) /* whose handlers we do not see */
            compare("sigaltstack", use_altstacks, signals[i]);
    }
    compare("what is wrong", use_what_is_wrong, 0);
}

int main(void)
{
#ifndef __SANITIZE_THREAD__ /* whose runtime stands between us and libc, and tells other masks and flags */
    test_scenarios();
#else
    (void)test_scenarios;
#endif
    test_threads();
    return 0;
}
