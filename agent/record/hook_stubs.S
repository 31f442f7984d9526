/*
 * The hooks, as the program calls them. While nothing is captured they go on to the C hooks at once; else they
 * first save the registers as they are where the program calls (struct capture_registers), and restore after the
 * C hook what that may have changed.
 *
 * Legacy moves of xmm registers leave the upper halves of ymm and zmm alone, and so does all that runs in a hook.
 */
#define XMM 128                   /* offset of capture_registers.xmm */
#define FRAME (XMM + 128 + 8)     /* and what aligns the stack */

    .macro save_xmm number
    movups %xmm\number, XMM + 16 * \number(%rsp)
    .endm

    .macro restore_xmm number
    movups XMM + 16 * \number(%rsp), %xmm\number
    .endm

/* A hook that goes on to `plain`, or to `capturing` with two more arguments: the registers, and where it
 * returns to. */
    .macro hook name, plain, capturing
    .globl \name
    .type \name, @function
    .p2align 5
\name:
    .cfi_startproc
    endbr64
    cmpb $0, capture_is_on(%rip)
    je \plain
    subq $FRAME, %rsp
    .cfi_adjust_cfa_offset FRAME
    movq %rax, 0(%rsp)
    movq %rdx, 8(%rsp)
    movq %rcx, 16(%rsp)
    movq %rbx, 24(%rsp)
    movq %rsi, 32(%rsp)
    movq %rdi, 40(%rsp)
    movq %rbp, 48(%rsp)
    movq %r8, 64(%rsp)
    movq %r9, 72(%rsp)
    movq %r10, 80(%rsp)
    movq %r11, 88(%rsp)
    movq %r12, 96(%rsp)
    movq %r13, 104(%rsp)
    movq %r14, 112(%rsp)
    movq %r15, 120(%rsp)
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    save_xmm \number
    .endr
    leaq FRAME + 8(%rsp), %rax
    movq %rax, 56(%rsp)
    movq %rsp, %rdx
    movq FRAME(%rsp), %rcx
    call \capturing
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    restore_xmm \number
    .endr
    movq 0(%rsp), %rax
    movq 8(%rsp), %rdx
    movq 16(%rsp), %rcx
    movq 32(%rsp), %rsi
    movq 40(%rsp), %rdi
    movq 64(%rsp), %r8
    movq 72(%rsp), %r9
    movq 80(%rsp), %r10
    movq 88(%rsp), %r11
    addq $FRAME, %rsp
    .cfi_adjust_cfa_offset -FRAME
    ret
    .cfi_endproc
    .size \name, . - \name
    .endm

    .text
    hook __cyg_profile_func_enter, hooks_enter, capture_enter
    hook __cyg_profile_func_exit, hooks_exit, capture_exit

    .hidden capture_is_on
    .hidden hooks_enter
    .hidden hooks_exit
    .hidden capture_enter
    .hidden capture_exit

    .section .note.GNU-stack, "", @progbits

/* This code keeps to what control-flow protection asks for: endbr64, and calls that return. */
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4, 16, 5
    .asciz "GNU"
    .long 0xc0000002, 4, 3, 0
