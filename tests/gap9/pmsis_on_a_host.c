/* PMSIS, as far as the port uses it, as threads of a process: the fabric controller is the main thread, the cluster another
 * one, the UART a TCP port. No model of the chip; it lets the port's own code run, with its two sides truly beside each
 * other. argv is not the port's: BIOTRAIN_FLASH names the flash's file, BIOTRAIN_PORT the TCP port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pmsis.h"

#include "bsp/flash/mx25u51245g.h"
#include "bsp/ram/aps25xxxn.h"

enum { FLASH_BYTES = 16 << 20, SECTOR = 4096, READS = 2, MOST_EVENTS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pi_open_from_conf(struct pi_device *device, void *conf) { device->config = conf; }
void pmsis_exit(int error) { exit(error ? 1 : 0); }

/* events */
typedef struct event {
    pi_callback_func_t function;
    void *arg;
    uintptr_t irq, due_ns;
} event;

static event *of(pi_task_t *task) { return (event *)task->opaque; }
static event pending[MOST_EVENTS];
static int pending_count;

static pi_task_t *prepare(pi_task_t *task, pi_callback_func_t function, void *arg, uintptr_t irq) {
    *of(task) = (event){function, arg, irq, 0};
    return task;
}
pi_task_t *pi_task_callback(pi_task_t *t, pi_callback_func_t f, void *a) { return prepare(t, f, a, 0); }
pi_task_t *pi_task_irq_callback(pi_task_t *t, pi_callback_func_t f, void *a) { return prepare(t, f, a, 1); }

static void enqueue(pi_task_t *task, uint64_t due_ns) {
    event e = *of(task);
    e.due_ns = due_ns;
    pthread_mutex_lock(&lock);
    if (pending_count == MOST_EVENTS) abort();
    pending[pending_count++] = e;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void pi_task_push(pi_task_t *task) {
    if (of(task)->irq) of(task)->function(of(task)->arg);
    else enqueue(task, 0);
}
void pi_cl_send_task_to_fc(pi_task_t *task) { pi_task_push(task); }
void pi_task_push_delayed_us(pi_task_t *task, uint32_t delay) { enqueue(task, now_ns() + 1000u * (uint64_t)delay); }

void pi_yield(void) {
    pthread_mutex_lock(&lock);
    for (;;) {
        const uint64_t now = now_ns();
        for (int i = 0; i < pending_count; i++)
            if (pending[i].due_ns <= now) {
                const event e = pending[i];
                memmove(pending + i, pending + i + 1, sizeof *pending * (size_t)(--pending_count - i));
                pthread_mutex_unlock(&lock);
                e.function(e.arg);
                return;
            }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 2000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_cond_timedwait(&changed, &lock, &until);
    }
}

/* time, counters, watchdog */
unsigned int pi_time_get_us(void) { return (unsigned)(now_ns() / 1000); }
int pi_freq_set(pi_freq_domain_e domain, uint32_t freq) { return (void)domain, (void)freq, 0; }
void pi_perf_conf(unsigned int events) { (void)events; }
void pi_perf_start(void) {}
unsigned int pi_perf_read(int id) { return (void)id, 0; }
static uint64_t reset_ns;
void pi_perf_cl_reset(void) { reset_ns = now_ns(); }
void pi_perf_cl_start(void) {}
unsigned int pi_perf_cl_read(int id) { return (void)id, (unsigned)((now_ns() - reset_ns) * 37 / 100); }
void pi_watchdog_timer_set(uint32_t tick_count) { (void)tick_count; }
void pi_watchdog_start(void) {}
void pi_watchdog_timer_rearm(void) {}

/* cluster */
static _Thread_local uint32_t core = 8;
static struct {
    void (*entry)(void *);
    void *arg;
    pi_task_t *ended;
} job;

void pi_cluster_conf_init(struct pi_cluster_conf *conf) { memset(conf, 0, sizeof *conf); }
int pi_cluster_open(struct pi_device *device) { return (void)device, 0; }
struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task, void (*entry)(void *), void *arg) {
    job.entry = entry, job.arg = arg;
    return task;
}
static void *cluster(void *unused) {
    job.entry(job.arg);
    pi_task_push(job.ended);
    return unused;
}
int pi_cluster_send_task_async(struct pi_device *device, struct pi_cluster_task *task, pi_task_t *ended) {
    pthread_t thread;
    (void)device, (void)task;
    job.ended = ended;
    return pthread_create(&thread, NULL, cluster, NULL) || pthread_detach(thread);
}
void *pi_cl_l1_malloc(struct pi_device *device, uint32_t size) {
    (void)device;
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
}
void pi_cl_team_fork(int cores, void (*entry)(void *), void *arg) {
    for (core = 0; core < (uint32_t)cores; core++) entry(arg);
    core = 8;
}
uint32_t pi_core_id(void) { return core; }
void pi_cl_dma_cmd(uint32_t ext, uint32_t loc, uint32_t size, pi_cl_dma_dir_e dir, pi_cl_dma_cmd_t *cmd) {
    void *far = (void *)(uintptr_t)ext, *near = (void *)(uintptr_t)loc;
    (void)cmd;
    if (dir == PI_CL_DMA_DIR_EXT2LOC) memcpy(near, far, size);
    else memcpy(far, near, size);
}
void pi_cl_dma_cmd_2d(uint32_t ext, uint32_t loc, uint32_t size, uint32_t stride, uint32_t length, pi_cl_dma_dir_e dir,
                      pi_cl_dma_cmd_t *cmd) {
    for (uint32_t done = 0; done < size; done += length, ext += stride) pi_cl_dma_cmd(ext, loc + done, length, dir, cmd);
}
void pi_cl_dma_cmd_wait(pi_cl_dma_cmd_t *cmd) { (void)cmd; }

/* UART */
static int line = -1;
static struct {
    uint8_t *to;
    pi_task_t *task;
} wanted[READS];
static int wanted_count;

static void *receive(void *unused) {
    const int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(getenv("BIOTRAIN_PORT"))),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1)) exit(3);
    for (;;) {
        uint8_t bytes[4096];
        ssize_t count;
        line = accept(listener, NULL, NULL);
        while ((count = read(line, bytes, sizeof bytes)) > 0)
            for (ssize_t i = 0; i < count; i++) {
                while (!wanted_count) usleep(100);
                *wanted[0].to = bytes[i];
                pi_task_t *task = wanted[0].task;
                wanted[0] = wanted[1];
                wanted_count--;
                pi_task_push(task);
            }
        close(line);
    }
    return unused;
}

void pi_uart_conf_init(struct pi_uart_conf *conf) { memset(conf, 0, sizeof *conf); }
int pi_uart_open(struct pi_device *device) {
    (void)device;
    signal(SIGPIPE, SIG_IGN);
    return 0;
}
int pi_uart_read_async(struct pi_device *device, void *buffer, uint32_t size, pi_task_t *task) {
    pthread_t thread;
    static int begun;
    (void)device;
    if (size != 1 || wanted_count == READS) abort();
    wanted[wanted_count].to = buffer;
    wanted[wanted_count++].task = task;
    if (wanted_count == READS && !begun++) pthread_create(&thread, NULL, receive, NULL);
    return 0;
}
int pi_uart_write_async(struct pi_device *device, void *buffer, uint32_t size, pi_task_t *task) {
    (void)device;
    for (uint32_t done = 0; done < size;) {
        const ssize_t part = write(line, (uint8_t *)buffer + done, size - done);
        if (part <= 0) break; /* nobody listens: the bytes are gone, as on a wire */
        done += (uint32_t)part;
    }
    pi_task_push(task);
    return 0;
}

/* memories */
void pi_aps25xxxn_conf_init(struct pi_aps25xxxn_conf *conf) { memset(conf, 0, sizeof *conf); }
int pi_ram_open(struct pi_device *device) { return (void)device, 0; }
int pi_ram_alloc(struct pi_device *device, uint32_t *addr, uint32_t size) {
    return (void)device, (void)size, *addr = 100, 0;
}
int pi_xip_dcache_page_alloc(uint32_t page, xip_page_size_e size) { return (void)page, (void)size, 0; }
int pi_xip_free_page_mask_get(uint32_t *mask, uint8_t pages) { return *mask = (1u << pages) - 1, 0; }
int pi_xip_mount(pi_device_t *mount, void *at, uint32_t ext, uint32_t count, uint8_t cacheable) {
    const size_t size = (size_t)count * (512u << ((pi_xip_conf_t *)mount->config)->page_size);
    (void)cacheable;
    if (ext % SECTOR) return -1;
    return mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at ? 0 : -1;
}

static uint8_t *flash;
void pi_mx25u51245g_conf_init(struct pi_mx25u51245g_conf *conf) { memset(conf, 0, sizeof *conf); }
int pi_flash_open(struct pi_device *device) {
    const int file = open(getenv("BIOTRAIN_FLASH"), O_RDWR | O_CREAT, 0600);
    const off_t size = lseek(file, 0, SEEK_END);
    (void)device;
    if (file < 0 || ftruncate(file, FLASH_BYTES)) return -1;
    flash = mmap(NULL, FLASH_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (flash != MAP_FAILED && size == 0) memset(flash, 0xff, FLASH_BYTES);
    return flash == MAP_FAILED ? -1 : 0;
}
int32_t pi_flash_ioctl(struct pi_device *device, uint32_t cmd, void *arg) {
    (void)device, (void)cmd;
    *(struct pi_flash_info *)arg = (struct pi_flash_info){.sector_size = SECTOR, .flash_start = SECTOR};
    return 0;
}
void pi_flash_read(struct pi_device *device, uint32_t at, void *data, uint32_t size) {
    (void)device;
    memcpy(data, flash + at, size);
}
void pi_flash_program(struct pi_device *device, uint32_t at, const void *data, uint32_t size) {
    (void)device;
    for (uint32_t i = 0; i < size; i++) flash[at + i] &= ((const uint8_t *)data)[i];
}
void pi_flash_erase_sector(struct pi_device *device, uint32_t at) {
    (void)device;
    memset(flash + at, 0xff, SECTOR);
}
