/* Copies between memory levels. The cluster's DMA moves between L1 and L2; what else there is goes by hand. */
#include <string.h>

#include "gap9.h"

static bool within(const void *at, const uint8_t *level, uint32_t size) {
    const uintptr_t address = (uintptr_t)at, start = (uintptr_t)level;
    return address >= start && address - start < size;
}

void bt_port_copy_wait(bt_port *port) {
    for (uint32_t i = 0; i < port->copies; i++) pi_cl_dma_cmd_wait(&port->copy[i]);
    port->copies = 0;
}

static void start(bt_port *port, uint32_t far, uint32_t near, uint32_t bytes, pi_cl_dma_dir_e direction) {
    if (port->copies == BT_COPIES) bt_port_copy_wait(port);
    pi_cl_dma_cmd(far, near, bytes, direction, &port->copy[port->copies++]);
}

/* One command where the rows come from L2 to L1 and are few enough for it. */
void bt_port_copy_rows(bt_port *port, void *to, const void *from, uint32_t rows, uint32_t bytes, uint32_t pitch) {
    const bt_memory *m = &port->memory;
    if (within(to, m->l1, m->l1_size) && within(from, m->l2, m->l2_size) && rows * bytes <= BT_COPY_BYTES) {
        if (port->copies == BT_COPIES) bt_port_copy_wait(port);
        pi_cl_dma_cmd_2d((uint32_t)(uintptr_t)from, (uint32_t)(uintptr_t)to, rows * bytes, pitch, bytes,
                         PI_CL_DMA_DIR_EXT2LOC, &port->copy[port->copies++]);
        return;
    }
    for (uint32_t r = 0; r < rows; r++)
        bt_port_copy_start(port, (uint8_t *)to + r * bytes, (const uint8_t *)from + r * pitch, bytes);
}

void bt_port_copy_start(bt_port *port, void *to, const void *from, uint32_t bytes) {
    const bt_memory *m = &port->memory;
    const bool fetch = within(to, m->l1, m->l1_size) && within(from, m->l2, m->l2_size);
    const bool store = within(from, m->l1, m->l1_size) && within(to, m->l2, m->l2_size);
    if (!fetch && !store) {
        memcpy(to, from, bytes); /* L3's window is no place for the DMA */
        return;
    }
    const uint32_t far = (uint32_t)(uintptr_t)(fetch ? from : to), near = (uint32_t)(uintptr_t)(fetch ? to : from);
    for (uint32_t done = 0; done < bytes; done += BT_COPY_BYTES) {
        const uint32_t part = bytes - done < BT_COPY_BYTES ? bytes - done : BT_COPY_BYTES;
        start(port, far + done, near + done, part, fetch ? PI_CL_DMA_DIR_EXT2LOC : PI_CL_DMA_DIR_LOC2EXT);
    }
}
