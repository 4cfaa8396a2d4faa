/* Storage that is addressed by bytes and survives a power cut, over NOR flash, which is erased by sectors. No SDK in
 * here: tests run it on a host, and cut the power in every operation.
 *
 * Records (everything below BT_AT_PLANS: the state, acknowledgements, the log) change a few bytes at a time. Each block of them
 * has several sectors, used in turn: a sector counts when its header, written last, has the right checksum, and the one
 * with the highest counter is the block. Until then the one before it is. What changes most has most sectors, so that
 * none of them wears out first.
 * Files (plans, banks) are only written where they do not count yet: a sector is erased when a bit of it has to rise. */
#ifndef BIOTRAIN_GAP9_NOR_H
#define BIOTRAIN_GAP9_NOR_H

#include <stdbool.h>
#include <stdint.h>

#include "../../app/layout.h"

enum {
    BT_NOR_HEADER = 16, /* at a record sector's end: magic, block, counter, checksum */
    BT_NOR_BLOCK = BT_STORAGE_SECTOR - BT_NOR_HEADER,
    BT_NOR_BLOCKS = (BT_AT_PLANS + BT_NOR_BLOCK - 1) / BT_NOR_BLOCK,
    BT_NOR_HOT_BLOCKS = 4, /* two states and two acknowledgement marks */
    BT_NOR_HOT_COPIES = 16,
    BT_NOR_COPIES = 2,
    BT_NOR_RECORD_SECTORS =
        BT_NOR_HOT_BLOCKS * BT_NOR_HOT_COPIES + (BT_NOR_BLOCKS - BT_NOR_HOT_BLOCKS) * BT_NOR_COPIES,
    BT_NOR_BYTES = BT_NOR_RECORD_SECTORS * BT_STORAGE_SECTOR + BT_STORAGE_BYTES - BT_AT_PLANS
};

/* The flash: `at` counts from the start of what is ours. 0 on success; a program that did not take is a failure. */
typedef struct bt_nor_chip {
    void *device;
    int (*read)(void *device, uint32_t at, void *to, uint32_t count);
    int (*program)(void *device, uint32_t at, const void *from, uint32_t count);
    int (*erase)(void *device, uint32_t at); /* one sector */
} bt_nor_chip;

typedef struct bt_nor {
    bt_nor_chip chip;
    uint32_t counter[BT_NOR_BLOCKS]; /* of the copy that counts; 0: none, the block reads as zeros */
    uint8_t newest[BT_NOR_BLOCKS];
    uint8_t sector[BT_STORAGE_SECTOR]; /* of which one is being changed */
} bt_nor;

/* Finds the copies that count. 0 on success, as from all of these. */
int bt_nor_open(bt_nor *nor, bt_nor_chip chip);
int bt_nor_read(bt_nor *nor, uint32_t offset, void *to, uint32_t count);
int bt_nor_write(bt_nor *nor, uint32_t offset, const void *from, uint32_t count);

#endif
