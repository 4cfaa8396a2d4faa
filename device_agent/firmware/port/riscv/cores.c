/* A cluster of cores that sleep until there are pieces to do. Core c takes pieces c, c + cores, c + 2 cores, ... */
#include "board.h"
#include "riscv.h"

_Noreturn void bt_worker(uint32_t hart);

/* The one place where harts meet. Written by hart 0 while the others sleep. */
static struct {
    bt_piece piece;
    void *arg;
    uint32_t count, cores, workers;
    uint32_t finished; /* atomic */
} job;

static void do_pieces(uint32_t core) {
    for (uint32_t i = core; i < job.count; i += job.cores) job.piece(job.arg, i);
}

_Noreturn void bt_worker(uint32_t hart) {
    BT_CSR_WRITE("mie", BT_SOFTWARE);
    for (;;) {
        while (!*bt_software_interrupt(hart)) bt_wait_for_interrupt();
        *bt_software_interrupt(hart) = 0;
        bt_fence();
        do_pieces(hart);
        bt_fence();
        if (__atomic_add_fetch(&job.finished, 1, __ATOMIC_ACQ_REL) == job.workers) *bt_software_interrupt(0) = 1;
    }
}

static uint64_t instructions(void) {
    uint32_t high, low, again;
    do {
        BT_CSR_READ("minstreth", high);
        BT_CSR_READ("minstret", low);
        BT_CSR_READ("minstreth", again);
    } while (high != again);
    return (uint64_t)high << 32 | low;
}

static void count_pieces(bt_port *port, bt_piece piece, void *arg, uint32_t count) {
    uint64_t share[BT_MOST_CORES] = {0}, most = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t before = instructions();
        piece(arg, i);
        share[i % port->cluster.cores] += instructions() - before;
    }
    for (uint32_t core = 0; core < port->cluster.cores; core++) {
        port->cluster.inside += share[core];
        if (share[core] > most) most = share[core];
    }
    port->cluster.longest += most;
    port->cluster.rounds++;
}

uint32_t bt_port_cores(bt_port *port) { return port->cluster.cores ? port->cluster.cores : port->cores; }

static __attribute__((noinline)) void share_pieces(bt_port *port, bt_piece piece, void *arg, uint32_t count) {
    const uint32_t cores = count < port->cores ? count : port->cores;
    if (cores < 2) {
        for (uint32_t i = 0; i < count; i++) piece(arg, i);
        return;
    }
    job.piece = piece;
    job.arg = arg;
    job.count = count;
    job.cores = cores;
    job.workers = cores - 1;
    __atomic_store_n(&job.finished, 0, __ATOMIC_RELEASE);
    bt_fence();
    for (uint32_t hart = 1; hart < cores; hart++) *bt_software_interrupt(hart) = 1;
    do_pieces(0);
    bt_riscv_watch(port, false);
    BT_CSR_WRITE("mie", port->watchdog_us ? BT_SOFTWARE | BT_TIMER : BT_SOFTWARE); /* the last worker ends this sleep */
    while (__atomic_load_n(&job.finished, __ATOMIC_ACQUIRE) != job.workers) {
        bt_wait_for_interrupt();
        bt_riscv_look(port);
    }
    BT_CSR_WRITE("mie", 0);
    while (!*bt_software_interrupt(0)) bt_fence(); /* it comes right behind the count */
    *bt_software_interrupt(0) = 0;
    bt_fence();
    bt_riscv_watch(port, true);
}

void bt_port_parallel(bt_port *port, bt_piece piece, void *arg, uint32_t count) {
    if (port->cluster.cores) count_pieces(port, piece, arg, count);
    else if (count == 1) piece(arg, 0);
    else share_pieces(port, piece, arg, count);
}
