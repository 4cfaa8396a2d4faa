/* A NOR flash: erasing raises every bit of a sector, programming only lowers bits, and the power can go in the middle of
 * either. Behind it the port's storage. */
#include <stdlib.h>
#include <string.h>

#include "../../device_agent/firmware/port/gap9/nor.h"

typedef struct chip {
    uint8_t *bytes;
    int left;       /* operations until the power goes; negative: it stays */
    uint32_t *wear; /* erasures of each sector */
    bt_nor nor;
} chip;

/* How much of `count` is still done. */
static uint32_t powered(chip *c, uint32_t count) {
    if (c->left == 0) return 0;
    if (c->left < 0) return count;
    return --c->left ? count : count / 2;
}

static int read_chip(void *device, uint32_t at, void *to, uint32_t count) {
    chip *c = device;
    if (at + count > BT_NOR_BYTES) return -1;
    memcpy(to, c->bytes + at, count);
    return 0;
}

static int program_chip(void *device, uint32_t at, const void *from, uint32_t count) {
    chip *c = device;
    if (at + count > BT_NOR_BYTES) return -1;
    const uint32_t done = powered(c, count);
    for (uint32_t i = 0; i < done; i++) c->bytes[at + i] &= ((const uint8_t *)from)[i];
    return done == count && memcmp(c->bytes + at, from, count) == 0 ? 0 : -1;
}

static int erase_chip(void *device, uint32_t at) {
    chip *c = device;
    if (at + BT_STORAGE_SECTOR > BT_NOR_BYTES || at % BT_STORAGE_SECTOR) return -1;
    const uint32_t done = powered(c, BT_STORAGE_SECTOR);
    memset(c->bytes + at, 0xff, done);
    c->wear[at / BT_STORAGE_SECTOR] += done != 0;
    return done == BT_STORAGE_SECTOR ? 0 : -1;
}

chip *chip_make(void);
chip *chip_make(void) {
    chip *c = calloc(1, sizeof *c);
    c->bytes = malloc(BT_NOR_BYTES);
    c->wear = calloc(BT_NOR_BYTES / BT_STORAGE_SECTOR, sizeof *c->wear);
    memset(c->bytes, 0xff, BT_NOR_BYTES);
    c->left = -1;
    return c;
}

int chip_start(chip *c, int operations);
int chip_start(chip *c, int operations) {
    c->left = operations;
    const bt_nor_chip device = {c, read_chip, program_chip, erase_chip};
    return bt_nor_open(&c->nor, device);
}

int chip_read(chip *c, uint32_t offset, void *to, uint32_t count);
int chip_read(chip *c, uint32_t offset, void *to, uint32_t count) { return bt_nor_read(&c->nor, offset, to, count); }

int chip_write(chip *c, uint32_t offset, const void *from, uint32_t count);
int chip_write(chip *c, uint32_t offset, const void *from, uint32_t count) {
    return bt_nor_write(&c->nor, offset, from, count);
}

uint32_t chip_most_worn(const chip *c);
uint32_t chip_most_worn(const chip *c) {
    uint32_t most = 0;
    for (uint32_t s = 0; s < BT_NOR_BYTES / BT_STORAGE_SECTOR; s++) most = c->wear[s] > most ? c->wear[s] : most;
    return most;
}

uint32_t chip_storage_bytes(void);
uint32_t chip_storage_bytes(void) { return BT_STORAGE_BYTES; }

void chip_free(chip *c);
void chip_free(chip *c) {
    free(c->bytes);
    free(c->wear);
    free(c);
}
