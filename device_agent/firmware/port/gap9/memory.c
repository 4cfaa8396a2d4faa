/* The memory levels. L1 comes from the cluster (cores.c). */
#include "gap9.h"

PI_L2 static uint8_t l2[BT_L2_BYTES] __attribute__((aligned(16)));

/* External RAM has no addresses of its own: the controller maps it, page by page, into a window. */
static bool open_window(bt_port *port) {
    uint32_t pages = 0;
    for (uint32_t p = 0; p < BT_WINDOW_PAGES; p++)
        if (pi_xip_dcache_page_alloc(p, (xip_page_size_e)BT_WINDOW_PAGE_LOG2)) return false;
    if (pi_xip_free_page_mask_get(&pages, BT_WINDOW_PAGES)) return false;
    port->xip_conf = (pi_xip_conf_t){
        .ro = 0,
        .per_id = BT_RAM_CONTROLLER,
        .page_mask = (uint16_t)pages,
        .page_size = (xip_page_size_e)BT_WINDOW_PAGE_LOG2,
    };
    port->window_on_ram.config = &port->xip_conf;
    const uint32_t page = 512u << BT_WINDOW_PAGE_LOG2, count = (BT_L3_BYTES + page - 1) / page;
    return pi_xip_mount(&port->window_on_ram, (void *)(uintptr_t)BT_WINDOW_ADDRESS, port->ram_at, count, 0) == 0;
}

bool bt_gap9_open_memory(bt_port *port) {
    const uint32_t page = 512u << BT_WINDOW_PAGE_LOG2;
    uint32_t at;
    BT_RAM_INIT(&port->ram_conf);
    port->ram_conf.xip_en = 1;
    pi_open_from_conf(&port->ram, &port->ram_conf);
    if (pi_ram_open(&port->ram) || pi_ram_alloc(&port->ram, &at, BT_L3_BYTES + 2 * page)) return false;
    port->ram_at = (at + page - 1) / page * page; /* a page of the window is a page of the RAM */
    if (!open_window(port)) return false;
    port->memory.l2 = l2;
    port->memory.l2_size = BT_L2_BYTES;
    port->memory.l3 = (uint8_t *)(uintptr_t)BT_WINDOW_ADDRESS;
    port->memory.l3_size = BT_L3_BYTES;
    return true;
}
