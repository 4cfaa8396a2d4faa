/* What the port uses of PMSIS, declared in this project's own words, so that the port can be compiled and checked where there
 * is no SDK. Not for linking: layouts and values here need not be the SDK's. declarations/README.md names the headers that
 * they were compared with. */
#ifndef BIOTRAIN_DECLARED_PMSIS_H
#define BIOTRAIN_DECLARED_PMSIS_H

#include <stddef.h>
#include <stdint.h>

#define PI_L2 __attribute__((section(".data_l2")))

typedef struct pi_device {
    void *config;
} pi_device_t;

typedef struct pi_task {
    uintptr_t opaque[16];
} pi_task_t;

typedef void (*pi_callback_func_t)(void *);
typedef void (*func_t)(void *);

void pi_open_from_conf(struct pi_device *device, void *conf);
void pmsis_exit(int error);
void pi_yield(void);

/* events */
pi_task_t *pi_task_callback(pi_task_t *task, pi_callback_func_t function, void *arg);
pi_task_t *pi_task_irq_callback(pi_task_t *task, pi_callback_func_t function, void *arg);
void pi_task_push(pi_task_t *task);
void pi_task_push_delayed_us(pi_task_t *task, uint32_t delay);

/* time, clocks, counters, watchdog */
unsigned int pi_time_get_us(void);
typedef enum { PI_FREQ_DOMAIN_FC, PI_FREQ_DOMAIN_CL, PI_FREQ_DOMAIN_PERIPH } pi_freq_domain_e;
int pi_freq_set(pi_freq_domain_e domain, uint32_t freq);
typedef enum { PI_PERF_CYCLES, PI_PERF_INSTR } pi_perf_event_e;
void pi_perf_conf(unsigned int events);
void pi_perf_start(void);
unsigned int pi_perf_read(int id);
void pi_perf_cl_reset(void);
void pi_perf_cl_start(void);
unsigned int pi_perf_cl_read(int id);
void pi_watchdog_timer_set(uint32_t tick_count);
void pi_watchdog_start(void);
void pi_watchdog_timer_rearm(void);

/* cluster */
struct pi_cluster_conf {
    int id;
    uint32_t cc_stack_size;
};
typedef struct pi_cluster_task {
    uint32_t slave_stack_size;
    int nb_cores;
} pi_cluster_task_t;
void pi_cluster_conf_init(struct pi_cluster_conf *conf);
int pi_cluster_open(struct pi_device *device);
struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task, void (*entry)(void *), void *arg);
int pi_cluster_send_task_async(struct pi_device *device, struct pi_cluster_task *cluster_task, pi_task_t *task);
void *pi_cl_l1_malloc(struct pi_device *device, uint32_t size);
void pi_cl_team_fork(int nb_cores, void (*entry)(void *), void *arg);
uint32_t pi_core_id(void);
void pi_cl_send_task_to_fc(pi_task_t *task);

/* cluster DMA: `ext` in L2, `loc` in L1 */
typedef enum { PI_CL_DMA_DIR_LOC2EXT = 0, PI_CL_DMA_DIR_EXT2LOC = 1 } pi_cl_dma_dir_e;
typedef struct pi_cl_dma_cmd_s {
    uint32_t id;
} pi_cl_dma_cmd_t;
void pi_cl_dma_cmd(uint32_t ext, uint32_t loc, uint32_t size, pi_cl_dma_dir_e dir, pi_cl_dma_cmd_t *cmd);
void pi_cl_dma_cmd_2d(uint32_t ext, uint32_t loc, uint32_t size, uint32_t stride, uint32_t length, pi_cl_dma_dir_e dir,
                      pi_cl_dma_cmd_t *cmd);
void pi_cl_dma_cmd_wait(pi_cl_dma_cmd_t *cmd);

/* UART */
struct pi_uart_conf {
    uint32_t baudrate_bps;
    uint8_t enable_rx, enable_tx, uart_id;
};
void pi_uart_conf_init(struct pi_uart_conf *conf);
int pi_uart_open(struct pi_device *device);
int pi_uart_write_async(struct pi_device *device, void *buffer, uint32_t size, pi_task_t *callback);
int pi_uart_read_async(struct pi_device *device, void *buffer, uint32_t size, pi_task_t *callback);

/* external RAM as addresses */
#define XIP_DEVICE0 0
#define XIP_DEVICE1 1
typedef int xip_page_size_e;
typedef struct pi_xip_conf_s {
    uint8_t ro, per_id, tlb_en;
    uint16_t page_mask;
    xip_page_size_e page_size;
    func_t data_exception_handler, instr_exception_handler, cl_irq_handler;
} pi_xip_conf_t;
int pi_xip_mount(pi_device_t *mount, void *virt_addr, uint32_t ext_addr, uint32_t mount_size, uint8_t cacheable);
int pi_xip_free_page_mask_get(uint32_t *page_mask, uint8_t nb_pages);
int pi_xip_dcache_page_alloc(uint32_t page_id, xip_page_size_e page_size);

#endif
