#include "nor.h"

#include <string.h>

#include "biotrain/plan.h"

enum { MAGIC = 0x524f4e42 };

typedef struct header {
    uint32_t magic, block, counter, checksum;
} header;

static uint32_t copies(uint32_t block) { return block < BT_NOR_HOT_BLOCKS ? BT_NOR_HOT_COPIES : BT_NOR_COPIES; }

static uint32_t place(uint32_t block, uint32_t copy) {
    const uint32_t first = block < BT_NOR_HOT_BLOCKS ? block * BT_NOR_HOT_COPIES
                                                     : BT_NOR_HOT_BLOCKS * BT_NOR_HOT_COPIES +
                                                           (block - BT_NOR_HOT_BLOCKS) * BT_NOR_COPIES;
    return (first + copy) * BT_STORAGE_SECTOR;
}

static uint32_t checksum(const uint8_t *data, const header *h) {
    return bt_crc32(bt_crc32(0, data, BT_NOR_BLOCK), (const uint8_t *)h, BT_NOR_HEADER - 4);
}

int bt_nor_open(bt_nor *nor, bt_nor_chip chip) {
    memset(nor, 0, sizeof *nor);
    nor->chip = chip;
    for (uint32_t block = 0; block < BT_NOR_BLOCKS; block++)
        for (uint32_t copy = 0; copy < copies(block); copy++) {
            header h;
            if (chip.read(chip.device, place(block, copy), nor->sector, BT_STORAGE_SECTOR)) return -1;
            memcpy(&h, nor->sector + BT_NOR_BLOCK, sizeof h);
            if (h.magic != MAGIC || h.block != block || h.counter <= nor->counter[block]) continue;
            if (h.checksum != checksum(nor->sector, &h)) continue; /* the power went while it was being written */
            nor->counter[block] = h.counter;
            nor->newest[block] = (uint8_t)copy;
        }
    return 0;
}

static int read_block(bt_nor *nor, uint32_t block, uint32_t at, void *to, uint32_t count) {
    if (nor->counter[block])
        return nor->chip.read(nor->chip.device, place(block, nor->newest[block]) + at, to, count);
    memset(to, 0, count);
    return 0;
}

static int write_block(bt_nor *nor, uint32_t block, uint32_t at, const uint8_t *from, uint32_t count) {
    const bt_nor_chip *chip = &nor->chip;
    const uint32_t next = nor->counter[block] ? (nor->newest[block] + 1u) % copies(block) : 0;
    header h = {.magic = MAGIC, .block = block, .counter = nor->counter[block] + 1};
    if (read_block(nor, block, 0, nor->sector, BT_NOR_BLOCK)) return -1;
    memcpy(nor->sector + at, from, count);
    h.checksum = checksum(nor->sector, &h);
    if (chip->erase(chip->device, place(block, next)) ||
        chip->program(chip->device, place(block, next), nor->sector, BT_NOR_BLOCK) ||
        chip->program(chip->device, place(block, next) + BT_NOR_BLOCK, &h, sizeof h))
        return -1;
    nor->counter[block] = h.counter;
    nor->newest[block] = (uint8_t)next;
    return 0;
}

/* Of a file, within one sector. */
static int write_file(bt_nor *nor, uint32_t sector, uint32_t at, const uint8_t *from, uint32_t count) {
    const bt_nor_chip *chip = &nor->chip;
    uint8_t *held = nor->sector;
    bool rises = false;
    if (chip->read(chip->device, sector, held, BT_STORAGE_SECTOR)) return -1;
    for (uint32_t i = 0; i < count; i++) rises = rises || (from[i] & ~held[at + i]);
    if (!rises) return chip->program(chip->device, sector + at, from, count);
    memcpy(held + at, from, count);
    return chip->erase(chip->device, sector) || chip->program(chip->device, sector, held, BT_STORAGE_SECTOR) ? -1 : 0;
}

int bt_nor_read(bt_nor *nor, uint32_t offset, void *to, uint32_t count) {
    uint8_t *out = to;
    if (offset > BT_STORAGE_BYTES || count > BT_STORAGE_BYTES - offset) return -1;
    while (count && offset < BT_AT_PLANS) {
        const uint32_t at = offset % BT_NOR_BLOCK, records = BT_AT_PLANS - offset, block = BT_NOR_BLOCK - at;
        const uint32_t most = records < block ? records : block, part = count < most ? count : most;
        if (read_block(nor, offset / BT_NOR_BLOCK, at, out, part)) return -1;
        out += part, offset += part, count -= part;
    }
    if (!count) return 0;
    return nor->chip.read(nor->chip.device, BT_NOR_RECORD_SECTORS * BT_STORAGE_SECTOR + offset - BT_AT_PLANS, out, count);
}

int bt_nor_write(bt_nor *nor, uint32_t offset, const void *from, uint32_t count) {
    const uint8_t *in = from;
    if (offset > BT_STORAGE_BYTES || count > BT_STORAGE_BYTES - offset) return -1;
    while (count) {
        const bool record = offset < BT_AT_PLANS;
        const uint32_t size = record ? BT_NOR_BLOCK : BT_STORAGE_SECTOR;
        const uint32_t base = record ? offset : offset - BT_AT_PLANS, at = base % size;
        uint32_t part = count < size - at ? count : size - at;
        if (record && part > BT_AT_PLANS - offset) part = BT_AT_PLANS - offset;
        const int failed =
            record ? write_block(nor, base / size, at, in, part)
                   : write_file(nor, BT_NOR_RECORD_SECTORS * BT_STORAGE_SECTOR + base - at, at, in, part);
        if (failed) return -1;
        in += part, offset += part, count -= part;
    }
    return 0;
}
