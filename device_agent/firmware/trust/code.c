/* The device's own code over what it keeps: HMAC-SHA-512, cut to 128 bits. */
#include <string.h>

#include "trust.h"

void bt_code_begin(bt_code *code, const uint8_t secret[BT_SECRET_BYTES]) {
    uint8_t inner[sizeof code->outer];
    for (uint32_t i = 0; i < sizeof inner; i++) {
        const uint8_t byte = i < BT_SECRET_BYTES ? secret[i] : 0;
        inner[i] = byte ^ 0x36;
        code->outer[i] = byte ^ 0x5c;
    }
    bt_sha512_begin(&code->hash);
    bt_sha512_add(&code->hash, inner, sizeof inner);
}

void bt_code_add(bt_code *code, const void *bytes, uint32_t count) { bt_sha512_add(&code->hash, bytes, count); }

void bt_code_end(bt_code *code, uint8_t out[BT_CODE_BYTES]) {
    uint8_t digest[64];
    bt_sha512_end(&code->hash, digest);
    bt_sha512_begin(&code->hash);
    bt_sha512_add(&code->hash, code->outer, sizeof code->outer);
    bt_sha512_add(&code->hash, digest, sizeof digest);
    bt_sha512_end(&code->hash, digest);
    memcpy(out, digest, BT_CODE_BYTES);
    memset(code, 0, sizeof *code);
}

bool bt_code_equal(const uint8_t *a, const uint8_t *b) {
    uint8_t differ = 0;
    for (uint32_t i = 0; i < BT_CODE_BYTES; i++) differ |= a[i] ^ b[i];
    return differ == 0;
}
