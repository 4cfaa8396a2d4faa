/* What differs between boards. The defaults are GAP9's evaluation kit's. */
#ifndef BIOTRAIN_GAP9_SETTINGS_H
#define BIOTRAIN_GAP9_SETTINGS_H

/* External memories: their drivers' headers, structures and initialisers. */
#define BT_RAM_HEADER "bsp/ram/aps25xxxn.h"
#define BT_RAM_CONF struct pi_aps25xxxn_conf
#define BT_RAM_INIT pi_aps25xxxn_conf_init
#define BT_FLASH_HEADER "bsp/flash/mx25u51245g.h"
#define BT_FLASH_CONF struct pi_mx25u51245g_conf
#define BT_FLASH_INIT pi_mx25u51245g_conf_init

enum {
    BT_CORES = 8,
    BT_CLUSTER_HZ = 370000000, /* at 800 mV; 240000000 at 650 mV */
    BT_FABRIC_HZ = 240000000,
    BT_CONTROLLER_STACK_BYTES = 16384,
    BT_WORKER_STACK_BYTES = 4096, /* the kernels are compiled with -Wstack-usage=3072 */
    BT_L1_BYTES = 80000,   /* 131,072 less nine stacks */
    BT_L2_BYTES = 1200000, /* 1,572,864 less the image, the SDK, this port (50 KB) and the cache below */
    BT_L3_BYTES = 8000000,

    /* L3 is seen through a window: a cache of so many pages in L2, filled and written back by hardware. */
    BT_RAM_CONTROLLER = XIP_DEVICE0, /* octospi 0 */
    BT_WINDOW_PAGES = 8,
    BT_WINDOW_PAGE_LOG2 = 3, /* 512 << 3 = 4,096 bytes */
#define BT_WINDOW_ADDRESS 0x20000000u

    /* Where storage begins: behind the partitions of the image and its updates. */
    BT_FLASH_AT = 0x00400000,

    BT_UART = 1,
    BT_BAUD = 1000000,
    BT_LINK_BYTES = 8192, /* a power of two: each direction's buffer */

    BT_COPIES = 8,            /* DMA transfers under way at once */
    BT_COPY_BYTES = 32768,    /* the largest of one */
    BT_FRONT_END_WINDOWS = 2, /* complete and not yet taken */

    BT_WATCHDOG_MS = 30000,
    BT_REFERENCE_HZ = 32768, /* of the watchdog's counter */
    BT_TICK_US = 10000       /* the loop looks at what is due so often while it waits */
};

/* As the agent and the telemetry name it; at most 23 characters. */
#ifndef BT_DEVICE_ID
#define BT_DEVICE_ID "gap9-1"
#endif

#endif
