# Hooks that write down all registers and the stack as they are called, and destroy whatever a function may; and
# call_with, which calls a function with given contents of all registers, and writes down what it leaves.
    .intel_syntax noprefix
    .text
    .hidden probe_general, probe_xmm, probe_garbage, probe_record
    .globl __cyg_profile_func_enter, __cyg_profile_func_exit, call_with

    .macro store_general area
    mov [rip + \area], rax
    mov [rip + \area + 8], rdx
    mov [rip + \area + 16], rcx
    mov [rip + \area + 24], rbx
    mov [rip + \area + 32], rsi
    mov [rip + \area + 40], rdi
    mov [rip + \area + 48], rbp
    mov [rip + \area + 64], r8
    mov [rip + \area + 72], r9
    mov [rip + \area + 80], r10
    mov [rip + \area + 88], r11
    mov [rip + \area + 96], r12
    mov [rip + \area + 104], r13
    mov [rip + \area + 112], r14
    mov [rip + \area + 120], r15
    .endm

    .macro store_vectors area
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movdqu [rip + \area + 16 * \n], xmm\n
    .endr
    .endm

    .macro load_vectors area
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movdqu xmm\n, [rip + \area + 16 * \n]
    .endr
    .endm

    .macro hook name, kind
\name:
    store_general probe_general
    store_vectors probe_xmm
    lea rax, [rsp + 8]
    mov [rip + probe_general + 56], rax
    mov rsi, [rsp]
    mov edx, \kind
    sub rsp, 8
    call probe_record
    load_vectors probe_garbage
    .irp register, rax, rdx, rcx, rsi, rdi, r8, r9, r10, r11
    mov \register, [rip + probe_garbage]
    .endr
    mov [rsp - 8], rax
    mov [rsp - 16], rax
    mov [rsp - 32], rax
    add rsp, 8
    ret
    .endm

    hook __cyg_profile_func_enter, 1
    hook __cyg_profile_func_exit, 2

call_with:
    push rbx; push rbp; push r12; push r13; push r14; push r15
    mov [rip + kept], rsp
    mov [rip + target], rdi
    lea rsi, [rip + stack_in]
    mov rdi, [rip + stack_start]
    mov rsp, rdi
    mov ecx, 32
    rep movsq
    load_vectors xmm_in
    mov rax, [rip + general_in]
    mov rdx, [rip + general_in + 8]
    mov rcx, [rip + general_in + 16]
    mov rbx, [rip + general_in + 24]
    mov rsi, [rip + general_in + 32]
    mov rdi, [rip + general_in + 40]
    mov rbp, [rip + general_in + 48]
    mov r8, [rip + general_in + 64]
    mov r9, [rip + general_in + 72]
    mov r10, [rip + general_in + 80]
    mov r11, [rip + general_in + 88]
    mov r12, [rip + general_in + 96]
    mov r13, [rip + general_in + 104]
    mov r14, [rip + general_in + 112]
    mov r15, [rip + general_in + 120]
    call [rip + target]
    store_general general_out
    store_vectors xmm_out
    cmp byte ptr [rip + returns_x87], 0
    je 1f
    fstp tbyte ptr [rip + x87_out]
1:  mov rsp, [rip + kept]
    pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx
    ret

    .bss
    .balign 16
kept: .skip 8
target: .skip 8
    .section .note.GNU-stack,"",@progbits
