/* Persistent storage: NOR flash behind nor.h, on the fabric controller's side; bytes go there in pieces of a sector. */
#include <string.h>

#include "gap9.h"

uint32_t bt_port_storage_size(bt_port *port) {
    (void)port;
    return BT_STORAGE_BYTES;
}

/* Pieces end where sectors do, so that none is erased twice for one write. */
static uint32_t piece_of(uint32_t offset, uint32_t left) {
    const uint32_t most = BT_STORAGE_SECTOR - offset % BT_STORAGE_SECTOR;
    return left < most ? left : most;
}

int bt_port_storage_read(bt_port *port, uint32_t offset, void *to, uint32_t count) {
    for (uint32_t done = 0; done < count;) {
        const uint32_t part = piece_of(offset + done, count - done);
        if (bt_ask(port, BT_WISH_STORAGE_READ, offset + done, part)) return -1;
        memcpy((uint8_t *)to + done, port->request.bytes, part);
        done += part;
    }
    return 0;
}

int bt_port_storage_write(bt_port *port, uint32_t offset, const void *from, uint32_t count) {
    for (uint32_t done = 0; done < count;) {
        const uint32_t part = piece_of(offset + done, count - done);
        memcpy(port->request.bytes, (const uint8_t *)from + done, part);
        if (bt_ask(port, BT_WISH_STORAGE_WRITE, offset + done, part)) return -1;
        done += part;
    }
    return 0;
}

static int read_flash(void *device, uint32_t at, void *to, uint32_t count) {
    bt_port *port = device;
    pi_flash_read(&port->flash, port->flash_at + at, to, count);
    return 0;
}

/* The driver tells no failure: what was written is read again. */
static int program_flash(void *device, uint32_t at, const void *from, uint32_t count) {
    bt_port *port = device;
    uint8_t found[256];
    pi_flash_program(&port->flash, port->flash_at + at, from, count);
    for (uint32_t done = 0; done < count;) {
        const uint32_t part = count - done < sizeof found ? count - done : (uint32_t)sizeof found;
        pi_flash_read(&port->flash, port->flash_at + at + done, found, part);
        if (memcmp(found, (const uint8_t *)from + done, part) != 0) return -1;
        done += part;
    }
    return 0;
}

static int erase_flash(void *device, uint32_t at) {
    bt_port *port = device;
    pi_flash_erase_sector(&port->flash, port->flash_at + at);
    return 0;
}

bool bt_gap9_open_storage(bt_port *port) {
    struct pi_flash_info info = {0};
    BT_FLASH_INIT(&port->flash_conf);
    pi_open_from_conf(&port->flash, &port->flash_conf);
    if (pi_flash_open(&port->flash)) return false;
    if (pi_flash_ioctl(&port->flash, PI_FLASH_IOCTL_INFO, &info)) return false;
    /* sectors as nor.h counts on them, and room behind the image's partitions */
    if (info.sector_size != BT_STORAGE_SECTOR || BT_FLASH_AT < info.flash_start) return false;
    port->flash_at = BT_FLASH_AT;
    const bt_nor_chip chip = {port, read_flash, program_flash, erase_flash};
    return bt_nor_open(&port->nor, chip) == 0;
}
