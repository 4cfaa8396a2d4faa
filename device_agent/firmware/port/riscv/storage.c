/* Persistent storage: a file of the host. A write has reached it when the call returns: it outlives the machine,
 * however that ends. */
#include "../../app/layout.h"
#include "riscv.h"
#include "semihosting.h"

bool bt_riscv_open_storage(bt_port *port) {
    port->storage = bt_file_open("storage", BT_READ_WRITE);
    return port->storage >= 0 && bt_file_length(port->storage) == BT_STORAGE_BYTES;
}

uint32_t bt_port_storage_size(bt_port *port) { return port->storage >= 0 ? BT_STORAGE_BYTES : 0; }

static bool outside(uint32_t offset, uint32_t count) {
    return offset > BT_STORAGE_BYTES || count > BT_STORAGE_BYTES - offset;
}

int bt_port_storage_read(bt_port *port, uint32_t offset, void *to, uint32_t count) {
    return !outside(offset, count) && bt_file_read(port->storage, offset, to, count) ? 0 : -1;
}

int bt_port_storage_write(bt_port *port, uint32_t offset, const void *from, uint32_t count) {
    return !outside(offset, count) && bt_file_write(port->storage, offset, from, count) ? 0 : -1;
}
