#include "store.h"

#include <string.h>

#include "../protocol/wire.h"

enum {
    MAGIC_BEFORE_KEYS = 0x42535443,
    MAGIC = 0x42535444,
    STORED_BYTES = 4 * 5,
    RECORD_BYTES = 4 * 6 + STORED_BYTES + BT_WEARERS * (BT_WEARER_BYTES + 2 * STORED_BYTES) + BT_EVENT_BYTES + 4,
    KEYED_BYTES = 4 + BT_HASH_BYTES, /* what came with MAGIC, in front of the CRC */
    WHOLE_BYTES = RECORD_BYTES + KEYED_BYTES + BT_CODE_BYTES
};

static void write_stored(bt_writer *w, const bt_stored *s) {
    bt_write_u32(w, s->place);
    bt_write_u32(w, s->length);
    bt_write_u32(w, s->crc);
    bt_write_u32(w, s->version);
    bt_write_u32(w, s->layout);
}

static bt_stored read_stored(bt_reader *r) {
    bt_stored s;
    s.place = bt_read_u32(r);
    s.length = bt_read_u32(r);
    s.crc = bt_read_u32(r);
    s.version = bt_read_u32(r);
    s.layout = bt_read_u32(r);
    return s;
}

/* Of a whole record: zeros where there is no secret. */
static void code_of(const uint8_t *secret, const uint8_t *bytes, uint8_t out[BT_CODE_BYTES]) {
    bt_code code;
    memset(out, 0, BT_CODE_BYTES);
    if (!secret) return;
    bt_code_begin(&code, secret);
    bt_code_add(&code, bytes, WHOLE_BYTES - BT_CODE_BYTES);
    bt_code_end(&code, out);
}

typedef enum found { NOTHING, A_STATE, OF_OTHER_KEYS } found;

static found read_record(bt_port *port, uint32_t which, const uint8_t *secret, bt_state *out) {
    uint8_t bytes[WHOLE_BYTES], code[BT_CODE_BYTES];
    if (bt_port_storage_read(port, BT_AT_STATE + which * BT_STORAGE_SECTOR, bytes, sizeof bytes)) return NOTHING;
    bt_reader r = {.at = bytes, .left = sizeof bytes};
    const uint32_t magic = bt_read_u32(&r), end = RECORD_BYTES - 4 + (magic == MAGIC ? KEYED_BYTES : 0u);
    bt_reader tail = {.at = bytes + end, .left = 4};
    if ((magic != MAGIC && magic != MAGIC_BEFORE_KEYS) || bt_read_u32(&tail) != bt_crc32(0, bytes, end)) return NOTHING;
    code_of(secret, bytes, code);
    if (magic == MAGIC ? !bt_code_equal(code, bytes + WHOLE_BYTES - BT_CODE_BYTES) : secret != NULL) return OF_OTHER_KEYS;
    memset(out, 0, sizeof *out);
    out->counter = bt_read_u32(&r);
    out->boot = bt_read_u32(&r);
    out->next_version = bt_read_u32(&r);
    out->active = bt_read_u32(&r);
    out->erasing = bt_read_u32(&r);
    out->plan = read_stored(&r);
    bool possible = out->active < BT_WEARERS && out->plan.place < 2 && out->plan.length <= BT_PLAN_SLOT_BYTES;
    for (uint32_t i = 0; i < BT_WEARERS; i++) {
        bt_wearer *wearer = &out->wearer[i];
        memcpy(wearer->name, r.at, BT_WEARER_BYTES);
        r.at += BT_WEARER_BYTES, r.left -= BT_WEARER_BYTES;
        wearer->name[BT_WEARER_BYTES - 1] = 0;
        wearer->serving = read_stored(&r);
        wearer->previous = read_stored(&r);
        possible = possible && wearer->serving.place < BT_BANKS && wearer->serving.length <= BT_BANK_BYTES &&
                   wearer->previous.place < BT_BANKS && wearer->previous.length <= BT_BANK_BYTES;
    }
    bt_event_unpack(&out->told, r.at);
    r.at += BT_EVENT_BYTES, r.left -= BT_EVENT_BYTES;
    if (magic == MAGIC) {
        out->plan_number = bt_read_u32(&r);
        memcpy(out->plan_digest, r.at, sizeof out->plan_digest);
    }
    return possible ? A_STATE : NOTHING;
}

bt_status bt_store_open(bt_store *store, bt_port *port, const uint8_t *secret) {
    bt_state first, second;
    memset(store, 0, sizeof *store);
    store->port = port;
    store->secret = secret;
    store->state.next_version = 1;
    if (bt_port_storage_size(port) < (uint32_t)BT_STORAGE_BYTES) return BT_STORAGE_FAILED;
    const found one = read_record(port, 0, secret, &first), two = read_record(port, 1, secret, &second);
    if (one == A_STATE) store->state = first;
    store->orphaned = !secret && one != A_STATE && two != A_STATE && (one == OF_OTHER_KEYS || two == OF_OTHER_KEYS);
    if (two == A_STATE && (one != A_STATE || second.counter > first.counter)) store->state = second;
    return BT_OK;
}

bt_status bt_store_set(bt_store *store, bt_state next) {
    uint8_t bytes[WHOLE_BYTES];
    bt_writer w = {.start = bytes, .most = sizeof bytes};
    next.counter = store->state.counter + 1;
    bt_write_u32(&w, MAGIC);
    bt_write_u32(&w, next.counter);
    bt_write_u32(&w, next.boot);
    bt_write_u32(&w, next.next_version);
    bt_write_u32(&w, next.active);
    bt_write_u32(&w, next.erasing);
    write_stored(&w, &next.plan);
    for (uint32_t i = 0; i < BT_WEARERS; i++) {
        bt_write(&w, next.wearer[i].name, BT_WEARER_BYTES);
        write_stored(&w, &next.wearer[i].serving);
        write_stored(&w, &next.wearer[i].previous);
    }
    bt_event_pack(&next.told, bytes + w.length);
    w.length += BT_EVENT_BYTES;
    bt_write_u32(&w, next.plan_number);
    bt_write(&w, next.plan_digest, sizeof next.plan_digest);
    bt_write_u32(&w, bt_crc32(0, bytes, w.length));
    code_of(store->secret, bytes, bytes + w.length);
    if (store->orphaned) bytes[w.length] = 1; /* it stays so until it is reset */
    if (bt_port_storage_write(store->port, BT_AT_STATE + next.counter % 2 * BT_STORAGE_SECTOR, bytes, sizeof bytes))
        return BT_STORAGE_FAILED;
    store->state = next;
    return BT_OK;
}

static uint32_t bank_offset(uint32_t wearer, uint32_t place) {
    return BT_AT_BANKS + (BT_BANKS * wearer + place) * (uint32_t)BT_BANK_BYTES;
}

/* In pieces that end where sectors do: a flash writes no other way, and a cut can come between any two. */
static bt_status write_pieces(bt_port *port, uint32_t offset, const uint8_t *from, uint32_t count) {
    for (uint32_t done = 0; done < count;) {
        const uint32_t left = count - done, room = BT_STORAGE_SECTOR - (offset + done) % BT_STORAGE_SECTOR;
        const uint32_t piece = left < room ? left : room;
        if (bt_port_storage_write(port, offset + done, from + done, piece)) return BT_STORAGE_FAILED;
        done += piece;
    }
    return BT_OK;
}

bt_status bt_store_write_plan(bt_store *store, const uint8_t *file, uint32_t length, bt_stored *out) {
    const uint32_t place = store->state.plan.length ? 1 - store->state.plan.place : 0;
    if (length > BT_PLAN_SLOT_BYTES) return BT_NO_MEMORY;
    *out = (bt_stored){.place = place, .length = length, .crc = bt_crc32(0, file, length)};
    return write_pieces(store->port, BT_AT_PLANS + place * BT_PLAN_SLOT_BYTES, file, length);
}

bt_status bt_store_write_weights(bt_store *store, const uint8_t *header, const uint8_t *values, uint32_t value_bytes,
                                 uint32_t version, bt_stored *out) {
    const bt_wearer *wearer = &store->state.wearer[store->state.active];
    uint32_t place = 0; /* where nothing lies that is still needed */
    while ((wearer->serving.length && place == wearer->serving.place) ||
           (wearer->previous.length && place == wearer->previous.place))
        place++;
    const uint32_t offset = bank_offset(store->state.active, place);
    if (value_bytes > BT_BANK_BYTES - BT_WEIGHTS_HEADER_BYTES) return BT_NO_MEMORY;
    *out = (bt_stored){
        .place = place,
        .length = BT_WEIGHTS_HEADER_BYTES + value_bytes,
        .crc = bt_crc32(bt_crc32(0, header, BT_WEIGHTS_HEADER_BYTES), values, value_bytes),
        .version = version,
    };
    const bt_status status = write_pieces(store->port, offset + BT_WEIGHTS_HEADER_BYTES, values, value_bytes);
    return status == BT_OK ? write_pieces(store->port, offset, header, BT_WEIGHTS_HEADER_BYTES) : status;
}

static bt_status read_checked(bt_port *port, uint32_t offset, const bt_stored *file, uint8_t *to, uint32_t most) {
    if (!file->length || file->length > most) return BT_BAD_LENGTH;
    if (bt_port_storage_read(port, offset, to, file->length)) return BT_STORAGE_FAILED;
    return bt_crc32(0, to, file->length) == file->crc ? BT_OK : BT_BAD_CRC;
}

bt_status bt_store_read_plan(const bt_store *store, uint8_t *to, uint32_t most) {
    const bt_stored *plan = &store->state.plan;
    return read_checked(store->port, BT_AT_PLANS + plan->place * BT_PLAN_SLOT_BYTES, plan, to, most);
}

bt_status bt_store_read_weights(const bt_store *store, const bt_stored *which, uint8_t *to, uint32_t most) {
    return read_checked(store->port, bank_offset(store->state.active, which->place), which, to, most);
}

/* Only what holds something: a wearer's banks are mostly zeros, or as flash leaves them, and flash wears. */
static bt_status overwrite(bt_port *port, uint32_t offset, uint32_t count) {
    uint8_t bytes[256];
    for (uint32_t at = 0; at < count; at += sizeof bytes) {
        bool empty = true, erased = true;
        if (bt_port_storage_read(port, offset + at, bytes, sizeof bytes)) return BT_STORAGE_FAILED;
        for (uint32_t i = 0; i < sizeof bytes; i++) empty = empty && bytes[i] == 0, erased = erased && bytes[i] == 0xff;
        if (empty || erased) continue;
        memset(bytes, 0, sizeof bytes);
        if (bt_port_storage_write(port, offset + at, bytes, sizeof bytes)) return BT_STORAGE_FAILED;
    }
    return BT_OK;
}

bt_status bt_store_finish_erasing(bt_store *store) {
    bt_state next = store->state;
    if (!next.erasing) return BT_OK;
    for (uint32_t i = 0; i < BT_WEARERS; i++)
        if (next.erasing >> i & 1 && overwrite(store->port, bank_offset(i, 0), BT_BANKS * (uint32_t)BT_BANK_BYTES) != BT_OK)
            return BT_STORAGE_FAILED;
    if (next.erasing & BT_ERASE_PLANS && overwrite(store->port, BT_AT_PLANS, 2 * (uint32_t)BT_PLAN_SLOT_BYTES) != BT_OK)
        return BT_STORAGE_FAILED;
    next.erasing = 0;
    return bt_store_set(store, next);
}
