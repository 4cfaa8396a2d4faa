/* What the site signs: sets of its keys, and blocks that stand behind plans and weights. */
#include <string.h>

#include "../runtime/bytes.h"
#include "biotrain/plan.h"
#include "trust.h"

enum { AT_NUMBER = 8, AT_CLASS = 12, AT_KEY_ID = 16, AT_ABOUT = 32, AT_SIGNATURE = 64, FORMAT = 1 };

/* In front of everything that is signed, so that no signature of another protocol fits here. */
static const char PREFIX[] = "biotrain signature 1";
enum { PREFIX_BYTES = sizeof PREFIX - 1 };

void bt_key_id(const uint8_t key[BT_KEY_BYTES], uint8_t out[BT_KEY_ID_BYTES]) {
    uint8_t digest[BT_HASH_BYTES];
    bt_sha256(key, BT_KEY_BYTES, digest);
    memcpy(out, digest, BT_KEY_ID_BYTES);
}

static const uint8_t *find_key(const bt_key_set *keys, const uint8_t id[BT_KEY_ID_BYTES]) {
    uint8_t found[BT_KEY_ID_BYTES];
    for (uint32_t i = 0; i < keys->count; i++) {
        bt_key_id(keys->key[i], found);
        if (memcmp(found, id, sizeof found) == 0) return keys->key[i];
    }
    return NULL;
}

static bt_status check(const bt_key_set *keys, const uint8_t id[BT_KEY_ID_BYTES], const uint8_t *signature,
                       const uint8_t *message, uint32_t length) {
    const uint8_t *key = find_key(keys, id);
    if (!key) return BT_UNKNOWN_KEY;
    return bt_ed25519_verify(key, signature, message, length) ? BT_OK : BT_BAD_SIGNATURE;
}

bt_status bt_key_set_open(bt_key_set *out, const bt_key_set *trusted, const uint8_t *bytes, uint32_t length) {
    uint8_t message[PREFIX_BYTES + BT_KEY_SET_MOST];
    if (length < BT_KEY_SET_HEAD || memcmp(bytes, "BTKS", 4) != 0) return BT_BAD_MAGIC;
    if (bytes[4] != FORMAT || bytes[6] || bytes[7] || bt_u32(bytes + 12)) return BT_BAD_VERSION;
    memset(out, 0, sizeof *out);
    out->count = bytes[5];
    out->number = bt_u32(bytes + AT_NUMBER);
    if (!out->number || !out->count || out->count > BT_MOST_KEYS) return BT_BAD_ARGUMENT;
    const uint32_t body = BT_KEY_SET_HEAD + BT_KEY_BYTES * out->count;
    if (length != body + BT_KEY_SET_TAIL) return BT_BAD_LENGTH;
    memcpy(out->site, bytes + 16, sizeof out->site);
    if (out->site[sizeof out->site - 1]) return BT_BAD_ARGUMENT;
    memcpy(out->key, bytes + BT_KEY_SET_HEAD, BT_KEY_BYTES * out->count);
    for (uint32_t i = 0; i < out->count; i++)
        if (!bt_ed25519_key_is_sound(out->key[i])) return BT_BAD_ARGUMENT;
    memcpy(message, PREFIX, PREFIX_BYTES);
    memcpy(message + PREFIX_BYTES, bytes, body);
    return check(trusted->count ? trusted : out, bytes + body, bytes + body + BT_KEY_ID_BYTES, message,
                 PREFIX_BYTES + body);
}

bt_status bt_signature_open(bt_signature *out, const bt_key_set *trusted, bt_signed_kind kind, const uint8_t digest[32],
                            const uint8_t block[BT_SIGNATURE_BYTES]) {
    uint8_t message[PREFIX_BYTES + AT_SIGNATURE + BT_HASH_BYTES];
    if (memcmp(block, "BTSG", 4) != 0 || block[5] != kind) return BT_BAD_SIGNATURE;
    if (block[4] != FORMAT) return BT_BAD_VERSION;
    memcpy(message, PREFIX, PREFIX_BYTES);
    memcpy(message + PREFIX_BYTES, block, AT_SIGNATURE);
    memcpy(message + PREFIX_BYTES + AT_SIGNATURE, digest, BT_HASH_BYTES);
    out->number = bt_u32(block + AT_NUMBER);
    out->device_class = bt_u32(block + AT_CLASS);
    memcpy(out->about, block + AT_ABOUT, sizeof out->about);
    return check(trusted, block + AT_KEY_ID, block + AT_SIGNATURE, message, sizeof message);
}
