/* Who may change what this device runs: signatures of the site, checked; codes of the device's own, made and checked.
 * All signed bytes are public, so the time that a check takes tells nothing. */
#ifndef BIOTRAIN_TRUST_H
#define BIOTRAIN_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "biotrain/status.h"

enum {
    BT_KEY_BYTES = 32,
    BT_KEY_ID_BYTES = 8, /* the first of SHA-256 of the key */
    BT_ED25519_BYTES = 64,
    BT_SECRET_BYTES = 32,
    BT_CODE_BYTES = 16,
    BT_MOST_KEYS = 4,
    BT_SITE_BYTES = 24
};

/* sha512.c: FIPS 180-4 */
typedef struct bt_sha512 {
    uint64_t state[8];
    uint8_t block[128];
    uint32_t length; /* bytes so far */
} bt_sha512;
void bt_sha512_begin(bt_sha512 *hash);
void bt_sha512_add(bt_sha512 *hash, const uint8_t *bytes, uint32_t count);
void bt_sha512_end(bt_sha512 *hash, uint8_t out[64]);

/* code.c: HMAC-SHA-512 (RFC 2104) under the device's secret, its first 128 bits */
typedef struct bt_code {
    bt_sha512 hash;
    uint8_t outer[128]; /* the padded key of the outer hash */
} bt_code;
void bt_code_begin(bt_code *code, const uint8_t secret[BT_SECRET_BYTES]);
void bt_code_add(bt_code *code, const void *bytes, uint32_t count);
void bt_code_end(bt_code *code, uint8_t out[BT_CODE_BYTES]);
/* In a time that does not tell where the two differ. */
bool bt_code_equal(const uint8_t *a, const uint8_t *b);

/* ed25519.c: RFC 8032, section 5.1.7, the check without the cofactor. Stricter than the RFC asks: keys of small order are
 * refused, as is everything that is not written in the one canonical way. */
bool bt_ed25519_verify(const uint8_t key[BT_KEY_BYTES], const uint8_t signature[BT_ED25519_BYTES],
                       const uint8_t *message, uint32_t length);
/* A point of the curve that is not of small order, in canonical form. */
bool bt_ed25519_key_is_sound(const uint8_t key[BT_KEY_BYTES]);

/* signature.c: the site's keys, and what it signs with them (docs/plan-format.md) */
typedef struct bt_key_set {
    uint32_t number; /* grows with each set of a site; 0: this device has no keys */
    uint32_t count;
    char site[BT_SITE_BYTES];
    uint8_t key[BT_MOST_KEYS][BT_KEY_BYTES];
} bt_key_set;

enum {
    BT_KEY_SET_HEAD = 40,
    BT_KEY_SET_TAIL = BT_KEY_ID_BYTES + BT_ED25519_BYTES,
    BT_KEY_SET_MOST = BT_KEY_SET_HEAD + BT_MOST_KEYS * BT_KEY_BYTES + BT_KEY_SET_TAIL,
    BT_SIGNATURE_BYTES = 128
};

typedef enum bt_signed_kind { BT_SIGNED_PLAN = 1, BT_SIGNED_WEIGHTS = 2 } bt_signed_kind;

typedef struct bt_signature {
    uint32_t number;
    uint32_t device_class;
    uint8_t about[32]; /* of a plan: SHA-256 of the values it begins with; of weights: the device they are for; or zeros */
} bt_signature;

void bt_key_id(const uint8_t key[BT_KEY_BYTES], uint8_t out[BT_KEY_ID_BYTES]);
/* A set of keys that `trusted` vouches for; with a `trusted` that has none, one that vouches for itself. */
bt_status bt_key_set_open(bt_key_set *out, const bt_key_set *trusted, const uint8_t *bytes, uint32_t length);
/* The signature block behind a file with this digest. */
bt_status bt_signature_open(bt_signature *out, const bt_key_set *trusted, bt_signed_kind kind, const uint8_t digest[32],
                            const uint8_t block[BT_SIGNATURE_BYTES]);

#endif
