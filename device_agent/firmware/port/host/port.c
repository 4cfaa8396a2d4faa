/* Cores, copies, counters and time on a host. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

/* One core: pieces are independent, so the order changes no bit. */
void bt_port_parallel(bt_port *port, bt_piece piece, void *arg, uint32_t count) {
    (void)port;
    for (uint32_t i = 0; i < count; i++) piece(arg, i);
}

uint32_t bt_port_cores(bt_port *port) {
    (void)port;
    return 1;
}

void bt_port_copy_start(bt_port *port, void *to, const void *from, uint32_t bytes) {
    (void)port;
    memcpy(to, from, bytes);
}

void bt_port_copy_rows(bt_port *port, void *to, const void *from, uint32_t rows, uint32_t bytes, uint32_t pitch) {
    (void)port;
    for (uint32_t r = 0; r < rows; r++) memcpy((uint8_t *)to + r * bytes, (const uint8_t *)from + r * pitch, bytes);
}

void bt_port_copy_wait(bt_port *port) { (void)port; }

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bt_port_cycles(bt_port *port) {
    (void)port;
    return now_ns(); /* a host has no cycle counter that it may read: nanoseconds */
}

uint64_t bt_port_instructions(bt_port *port) {
    (void)port;
    return 0; /* not countable here; the RISC-V port counts them */
}

uint64_t bt_port_time_us(bt_port *port) { return (now_ns() - port->started_ns) / 1000; }

void bt_port_watchdog(bt_port *port) {
    const uint64_t now = bt_port_time_us(port);
    if (!port->watchdog_us || (port->watched_us && now < port->watched_us + port->watchdog_us / 8)) return;
    const uint64_t within = port->watchdog_us;
    const struct itimerval timer = {
        .it_value = {.tv_sec = (time_t)(within / 1000000), .tv_usec = (suseconds_t)(within % 1000000)}};
    setitimer(ITIMER_REAL, &timer, NULL); /* main.c starts the process again when it goes off */
    port->watched_us = now;
}

const char *bt_port_start_reason(bt_port *port) { return port->after_watchdog ? "watchdog" : ""; }

bt_power bt_port_power(bt_port *port, bt_work done) {
    return bt_cell_tell(&port->cell, bt_port_time_us(port), done);
}

void bt_host_init(bt_port *port) {
    memset(port, 0, sizeof *port);
    port->started_ns = now_ns();
    port->listener = port->connection = port->storage_file = port->event_log = -1;
    port->writes_left = -1;
}

void bt_host_close(bt_port *port) {
    const int files[] = {port->connection, port->listener, port->storage_file, port->event_log};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] >= 0) close(files[i]);
    if (port->source.file) fclose(port->source.file);
}

bool bt_host_take_memory(bt_memory *memory) {
    *memory = (bt_memory){
        .l1 = aligned_alloc(64, BT_HOST_L1_BYTES),
        .l2 = aligned_alloc(64, (BT_HOST_L2_BYTES + 63) / 64 * 64),
        .l3 = aligned_alloc(64, BT_HOST_L3_BYTES),
        .l1_size = BT_HOST_L1_BYTES,
        .l2_size = BT_HOST_L2_BYTES,
        .l3_size = BT_HOST_L3_BYTES,
    };
    if (memory->l1 && memory->l2 && memory->l3) {
        memset(memory->l3, 0, BT_HOST_L3_BYTES); /* another wearable's windows may lie there */
        return true;
    }
    bt_host_give_back(memory, false);
    return false;
}

bool bt_host_map_l3(bt_memory *memory, const char *path, char error[BT_ERROR_BYTES]) {
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *mapped = MAP_FAILED;
    if (file >= 0 && ftruncate(file, BT_HOST_L3_BYTES) == 0)
        mapped = mmap(NULL, BT_HOST_L3_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED)
        snprintf(error, BT_ERROR_BYTES, "cannot use %s as external memory: %s; name a file that can be written", path,
                 strerror(errno));
    if (file >= 0) close(file);
    if (mapped == MAP_FAILED) return false;
    free(memory->l3);
    memory->l3 = mapped;
    return true;
}

void bt_host_give_back(bt_memory *memory, bool mapped) {
    free(memory->l1);
    free(memory->l2);
    if (mapped)
        munmap(memory->l3, BT_HOST_L3_BYTES);
    else
        free(memory->l3);
    memset(memory, 0, sizeof *memory);
}
