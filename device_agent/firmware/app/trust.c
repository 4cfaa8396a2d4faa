/* The site's keys on this device, and the code that is its own: who may change what runs here. A device without keys is
 * in development mode, and takes anything that is whole. */
#include <string.h>

#include "../runtime/bytes.h"
#include "layout.h"
#include "state.h"

enum {
    MAGIC = 0x42545452,
    RECORD_BYTES = 4 * 4 + BT_SECRET_BYTES + BT_SITE_BYTES + BT_MOST_KEYS * BT_KEY_BYTES + 4,
    AT_CODE = BT_WEIGHTS_HEADER_BYTES - BT_CODE_BYTES /* in the header of weights */
};

static bool read_record(bt_port *port, uint32_t which, bt_trust *out) {
    uint8_t bytes[RECORD_BYTES];
    if (bt_port_storage_read(port, BT_AT_TRUST + which * BT_TRUST_RECORD_BYTES, bytes, sizeof bytes)) return false;
    bt_reader r = {.at = bytes, .left = RECORD_BYTES - 4};
    if (bt_read_u32(&r) != MAGIC || bt_u32(bytes + RECORD_BYTES - 4) != bt_crc32(0, bytes, RECORD_BYTES - 4)) return false;
    out->counter = bt_read_u32(&r);
    out->keys.number = bt_read_u32(&r);
    out->keys.count = bt_read_u32(&r);
    memcpy(out->secret, r.at, sizeof out->secret);
    memcpy(out->keys.site, r.at + sizeof out->secret, sizeof out->keys.site);
    memcpy(out->keys.key, r.at + sizeof out->secret + sizeof out->keys.site, sizeof out->keys.key);
    return out->keys.number && out->keys.count && out->keys.count <= BT_MOST_KEYS;
}

static bt_status write_record(bt_app *app, const bt_trust *trust) {
    uint8_t bytes[RECORD_BYTES];
    bt_writer w = {.start = bytes, .most = sizeof bytes};
    bt_write_u32(&w, MAGIC);
    bt_write_u32(&w, trust->counter);
    bt_write_u32(&w, trust->keys.number);
    bt_write_u32(&w, trust->keys.count);
    bt_write(&w, trust->secret, sizeof trust->secret);
    bt_write(&w, trust->keys.site, sizeof trust->keys.site);
    bt_write(&w, trust->keys.key, sizeof trust->keys.key);
    bt_write_u32(&w, bt_crc32(0, bytes, w.length));
    const uint32_t at = BT_AT_TRUST + trust->counter % 2 * BT_TRUST_RECORD_BYTES;
    return bt_port_storage_write(app->port, at, bytes, sizeof bytes) ? BT_STORAGE_FAILED : BT_OK;
}

void bt_trust_open(bt_app *app) {
    bt_trust first = {0}, second = {0};
    const bool has_first = read_record(app->port, 0, &first), has_second = read_record(app->port, 1, &second);
    if (has_first) app->trust = first;
    if (has_second && (!has_first || second.counter > first.counter)) app->trust = second;
}

bool bt_has_keys(const bt_app *app) { return app->trust.keys.number != 0; }

/* The code stands in the header, which it covers but for itself and the CRC in front of it. */
static void code_of(const bt_app *app, const uint8_t *header, const uint8_t *values, uint32_t bytes,
                    uint8_t out[BT_CODE_BYTES]) {
    static const uint8_t crc[4] = {0};
    bt_code code;
    bt_code_begin(&code, app->trust.secret);
    bt_code_add(&code, header, 12);
    bt_code_add(&code, crc, sizeof crc);
    bt_code_add(&code, header + 16, AT_CODE - 16);
    bt_code_add(&code, app->store.state.wearer[app->store.state.active].name, BT_WEARER_BYTES);
    bt_code_add(&code, values, bytes);
    bt_code_end(&code, out);
}

void bt_trust_mark(const bt_app *app, uint8_t header[BT_WEIGHTS_HEADER_BYTES], const uint8_t *values, uint32_t bytes) {
    if (!bt_has_keys(app)) return;
    code_of(app, header, values, bytes, header + AT_CODE);
    const uint32_t crc = bt_crc32(0, header + 16, BT_WEIGHTS_HEADER_BYTES - 16);
    bt_put_u32(header + 12, bt_crc32(crc, values, bytes));
}

bool bt_trust_is_own(const bt_app *app, const uint8_t *header, const uint8_t *values, uint32_t bytes) {
    uint8_t code[BT_CODE_BYTES];
    if (!bt_has_keys(app)) return true;
    code_of(app, header, values, bytes, code);
    return bt_code_equal(code, header + AT_CODE);
}

bt_status bt_trust_plan(const bt_app *app, const bt_plan *plan, uint32_t *number, uint8_t digest[BT_HASH_BYTES]) {
    const bt_state *state = &app->store.state;
    bt_signature signature;
    *number = 0;
    bt_sha256(plan->file, plan->length, digest);
    if (app->store.orphaned) return BT_UNKNOWN_KEY;
    if (!bt_has_keys(app)) return BT_OK;
    if (!plan->signature) return BT_UNSIGNED;
    const bt_status status = bt_signature_open(&signature, &app->trust.keys, BT_SIGNED_PLAN, plan->hash, plan->signature);
    if (status != BT_OK) return status;
    *number = signature.number;
    if (signature.device_class != BT_DEVICE_CLASS) return BT_WRONG_CLASS;
    if (signature.number > state->plan_number) return BT_OK;
    return signature.number == state->plan_number && memcmp(digest, state->plan_digest, BT_HASH_BYTES) == 0 ? BT_OK
                                                                                                          : BT_OLDER_PLAN;
}

bt_status bt_trust_weights(const bt_app *app, const uint8_t *file, uint32_t length, const uint8_t *block) {
    static const uint8_t anywhere[BT_DEVICE_ID_BYTES] = {0};
    uint8_t digest[BT_HASH_BYTES];
    bt_signature signature;
    if (app->store.orphaned) return BT_UNKNOWN_KEY;
    if (!bt_has_keys(app)) return BT_OK;
    bt_sha256(file, length, digest);
    if (block) {
        const bt_status status = bt_signature_open(&signature, &app->trust.keys, BT_SIGNED_WEIGHTS, digest, block);
        if (status != BT_OK) return status;
        if (signature.device_class != BT_DEVICE_CLASS) return BT_WRONG_CLASS;
        const bool here = memcmp(signature.about, anywhere, BT_DEVICE_ID_BYTES) == 0 ||
                          memcmp(signature.about, app->device_id, BT_DEVICE_ID_BYTES) == 0;
        return here ? BT_OK : BT_FOREIGN_WEIGHTS;
    }
    /* those that the plan begins with are covered by its signature: place_plan has checked it */
    if (app->plan.signature && memcmp(digest, app->plan.signature + 32, sizeof digest) == 0) return BT_OK;
    const uint8_t *values = file + BT_WEIGHTS_HEADER_BYTES;
    return bt_trust_is_own(app, file, values, length - BT_WEIGHTS_HEADER_BYTES) ? BT_OK : BT_FOREIGN_WEIGHTS;
}

bt_status bt_trust_refuse(bt_app *app, bt_refused what, bt_status status) {
    static const char *const WHAT[] = {"plan ", "weights ", "keys ", "bank "};
    if (status == BT_OK || status == BT_BUSY || status == BT_LOG_FULL || status == BT_STORAGE_FAILED) return status;
    app->trust.refused[what]++;
    const uint64_t bit = 1ull << status;
    if (!bt_has_keys(app) || app->trust.told[what] & bit || !bt_has_room_to_tell(app)) return status;
    bt_event event = {.kind = BT_EVENT_REFUSED};
    bt_writer w = {.start = (uint8_t *)event.detail, .most = sizeof event.detail - 1};
    const char *reason = bt_status_name(status) + 3;
    bt_write(&w, WHAT[what], (uint32_t)strlen(WHAT[what]));
    bt_write(&w, reason, (uint32_t)strlen(reason));
    app->trust.told[what] |= bit;
    bt_tell(app, event);
    return status;
}

void bt_trust_list(const bt_app *app, bt_writer *w) {
    uint8_t id[BT_KEY_ID_BYTES];
    const bt_key_set *keys = &app->trust.keys;
    bt_write_u8(w, app->store.orphaned ? 2 : bt_has_keys(app));
    bt_write_u32(w, keys->number);
    bt_write_u32(w, app->store.state.plan_number);
    bt_write_text(w, keys->site, sizeof keys->site);
    bt_write_u8(w, keys->count);
    for (uint32_t i = 0; i < keys->count; i++) {
        bt_key_id(keys->key[i], id);
        bt_write(w, id, sizeof id);
    }
}

static bool is_blank(const bt_app *app) {
    const bt_state *state = &app->store.state;
    bool blank = !app->has_plan && !state->plan.length && !state->erasing;
    for (uint32_t i = 0; i < BT_WEARERS; i++)
        blank = blank && !state->wearer[i].serving.length && !state->wearer[i].previous.length;
    return blank;
}

/* The host has good chance, the device has what the host does not know: the secret is made of both. */
static void make_secret(bt_app *app, bt_trust *trust, const uint8_t given[BT_SECRET_BYTES]) {
    uint8_t digest[64];
    const uint64_t own[2] = {bt_port_time_us(app->port), bt_port_cycles(app->port)};
    bt_sha512 hash;
    bt_sha512_begin(&hash);
    bt_sha512_add(&hash, given, BT_SECRET_BYTES);
    bt_sha512_add(&hash, (const uint8_t *)app->device_id, sizeof app->device_id);
    bt_sha512_add(&hash, (const uint8_t *)own, sizeof own);
    bt_sha512_end(&hash, digest);
    memcpy(trust->secret, digest, sizeof trust->secret);
}

/* Two records of the state carry a code then: one from before the keys are written, which counts only with them, and one
 * with the event. Whatever write is cut, the device has its keys or is as it was. */
static bt_status trust_first(bt_app *app, bt_trust next, const uint8_t given[BT_SECRET_BYTES]) {
    const bt_trust before = app->trust;
    make_secret(app, &next, given);
    app->store.secret = next.secret;
    bt_status status = bt_store_set(&app->store, app->store.state);
    if (status != BT_OK) {
        app->store.secret = NULL;
        return status;
    }
    status = write_record(app, &next);
    app->trust = status == BT_OK ? next : before;
    app->store.secret = status == BT_OK ? app->trust.secret : NULL;
    if (status != BT_OK) app->store.state.counter--; /* the next record overwrites this one, not the one that counts */
    return status;
}

bt_status bt_trust_take(bt_app *app, const uint8_t *bytes, uint32_t length) {
    const uint32_t count = length > BT_KEY_SET_HEAD ? bytes[5] : 0;
    const uint32_t set = BT_KEY_SET_HEAD + BT_KEY_BYTES * count + BT_KEY_SET_TAIL;
    bt_trust next = app->trust;
    bt_key_set *keys = &next.keys;
    const bool first = !bt_has_keys(app);
    if (app->store.orphaned) return BT_UNKNOWN_KEY;
    if (length < set || length - set != (first ? BT_SECRET_BYTES : 0u)) return BT_BAD_ARGUMENT;
    bt_status status = bt_key_set_open(keys, &app->trust.keys, bytes, set);
    if (!first && memcmp(keys, &app->trust.keys, sizeof *keys) == 0) return BT_OK; /* it has them, whoever has signed */
    if (status != BT_OK) return status;
    next.counter++;
    if (!first && memcmp(keys->site, app->trust.keys.site, sizeof keys->site) != 0) return BT_BAD_SIGNATURE;
    if (keys->number <= app->trust.keys.number) return BT_OLDER_PLAN;
    if (first && !is_blank(app)) return BT_WRONG_STATE;
    if (!bt_has_room_to_tell(app)) return BT_LOG_FULL;
    if (first) {
        status = trust_first(app, next, bytes + set);
    } else {
        status = write_record(app, &next);
        if (status == BT_OK) app->trust = next;
        app->store.secret = app->trust.secret;
    }
    if (status != BT_OK) return status;
    bt_event event = {.kind = BT_EVENT_KEYS_TRUSTED};
    memcpy(event.detail, keys->site, sizeof keys->site);
    return bt_change(app, app->store.state, event);
}
