# Every hart begins here. Hart 0 becomes the controller and runs main; the others become the cluster's workers.
    .option arch, +zicsr
    .section .text.start, "ax"
    .global _start
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la t0, trap
    csrw mtvec, t0
    li t0, 0x2000               # mstatus.FS: the floating-point unit is on
    csrs mstatus, t0
    csrw fcsr, zero             # round to nearest, ties to even
    csrr a0, mhartid
    bnez a0, worker

    la sp, __controller_stack_end
    la t0, __bss_start
    la t1, __bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  call bt_fence_levels
    call main
    call bt_exit
3:  wfi
    j 3b

worker:                         # sp := end of this worker's part of the workers' stacks
    la sp, __worker_stacks
    la t0, __worker_stack_bytes
    mul t0, t0, a0
    add sp, sp, t0
    call bt_fence_levels_of_worker
    call bt_worker
    j 3b

# Nothing here is allowed to trap: say what happened and where, and end the machine.
    .balign 4
trap:
    la sp, __controller_stack_end
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    call bt_trapped
    j 3b

# The three words must lie in one page for the emulator to know them for a call to its host.
    .balign 16
    .global bt_semihost
bt_semihost:
    .option push
    .option norvc
    slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
    .option pop
    ret
