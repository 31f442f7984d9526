/*
 * Hooks are compiled without floating point, so the instructions are written out; the compiler, which knows
 * of no such registers here, cannot be told that they change. They are a called function's to use.
 */
#include "agent/record/capture_float.h"

#define EXCEPTIONS_MASKED 0x1f80u

#define COMPUTE(result, instructions)                                                                        \
    __asm__ volatile("movq %[first], %%xmm0\n\t"                                                             \
                     "movq %[second], %%xmm1\n\t" instructions                                               \
                     : [out] "=&r"(result)                                                                   \
                     : [first] "r"(a), [second] "r"(b))

#define BINARY_D(instruction) COMPUTE(result, instruction " %%xmm1, %%xmm0\n\tmovq %%xmm0, %[out]")
#define BINARY_F(instruction) COMPUTE(result, instruction " %%xmm1, %%xmm0\n\tmovd %%xmm0, %k[out]")
#define TO_D(instruction, from) COMPUTE(result, instruction " " from ", %%xmm0\n\tmovq %%xmm0, %[out]")
#define TO_F(instruction, from) COMPUTE(result, instruction " " from ", %%xmm0\n\tmovd %%xmm0, %k[out]")

/* Masks exceptions; returns what set_control() wants back. */
static uint32_t begin(void)
{
    uint32_t control, masked;
    __asm__ volatile("stmxcsr %0" : "=m"(control));
    masked = control | EXCEPTIONS_MASKED;
    __asm__ volatile("ldmxcsr %0" : : "m"(masked));
    return control;
}

static void set_control(uint32_t control)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
}

uint64_t capture_float2(enum capture_op op, uint64_t a, uint64_t b)
{
    uint64_t result = 0;
    uint32_t control = begin();
    switch (op) {
    case OP_ADD_D:
        BINARY_D("addsd");
        break;
    case OP_SUBTRACT_D:
        BINARY_D("subsd");
        break;
    case OP_MULTIPLY_D:
        BINARY_D("mulsd");
        break;
    case OP_DIVIDE_D:
        BINARY_D("divsd");
        break;
    case OP_ADD_F:
        BINARY_F("addss");
        break;
    case OP_SUBTRACT_F:
        BINARY_F("subss");
        break;
    case OP_MULTIPLY_F:
        BINARY_F("mulss");
        break;
    default:
        BINARY_F("divss");
    }
    set_control(control);
    return result;
}

uint64_t capture_float1(enum capture_op op, uint64_t a)
{
    const uint64_t b = 0;
    uint64_t result = 0;
    uint32_t control = begin();
    switch (op) {
    case OP_F_TO_D:
        TO_D("cvtss2sd", "%%xmm0");
        break;
    case OP_D_TO_F:
        TO_F("cvtsd2ss", "%%xmm0");
        break;
    case OP_I64_TO_D:
        TO_D("cvtsi2sdq", "%[first]");
        break;
    case OP_I64_TO_F:
        TO_F("cvtsi2ssq", "%[first]");
        break;
    case OP_I32_TO_D:
        TO_D("cvtsi2sdl", "%k[first]");
        break;
    case OP_I32_TO_F:
        TO_F("cvtsi2ssl", "%k[first]");
        break;
    case OP_D_TO_I64:
        COMPUTE(result, "cvttsd2si %%xmm0, %[out]");
        break;
    case OP_F_TO_I64:
        COMPUTE(result, "cvttss2si %%xmm0, %[out]");
        break;
    case OP_D_TO_I32:
        COMPUTE(result, "cvttsd2si %%xmm0, %k[out]");
        break;
    default:
        COMPUTE(result, "cvttss2si %%xmm0, %k[out]");
    }
    set_control(control);
    return result;
}
