/* Ed25519, checking only (RFC 8032). Points are (X : Y : Z : T) with x = X/Z, y = Y/Z, xy = T/Z; the one formula for
 * additions is complete on this curve, so it doubles as well (section 5.1.4). */
#include <string.h>

#include "../runtime/bytes.h"
#include "field.h"
#include "trust.h"

typedef struct point {
    bt_field x, y, z, t;
} point;

static const bt_field ZERO = {{0}}, ONE = {{1}};
/* d = -121665/121666 of the curve -x^2 + y^2 = 1 + d x^2 y^2, and the square root of -1 */
static const bt_field D = {{0x135978a3, 0x75eb4dca, 0x4141d8ab, 0x00700a4d, 0x7779e898, 0x8cc74079, 0x2b6ffe73, 0x52036cee}};
static const bt_field ROOT = {{0x4a0ea0b0, 0xc4ee1b27, 0xad2fe478, 0x2f431806, 0x3dfbd7a7, 0x2b4d0099, 0x4fc1df0b, 0x2b832480}};
/* The base point, and the order of what it generates. */
static const uint8_t BASE[32] = {0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};
static const uint32_t ORDER[8] = {0x5cf5d3ed, 0x5812631a, 0xa2f79cd6, 0x14def9de, 0, 0, 0, 0x10000000};

static void add(point *out, const point *p, const point *q) {
    bt_field a, b, c, d, e;
    bt_field_subtract(&a, &p->y, &p->x);
    bt_field_subtract(&e, &q->y, &q->x);
    bt_field_multiply(&a, &a, &e);
    bt_field_add(&b, &p->y, &p->x);
    bt_field_add(&e, &q->y, &q->x);
    bt_field_multiply(&b, &b, &e);
    bt_field_multiply(&c, &p->t, &q->t);
    bt_field_multiply(&c, &c, &D);
    bt_field_add(&c, &c, &c);
    bt_field_multiply(&d, &p->z, &q->z);
    bt_field_add(&d, &d, &d);
    bt_field_subtract(&e, &b, &a);
    bt_field_add(&b, &b, &a); /* H */
    bt_field_subtract(&a, &d, &c); /* F */
    bt_field_add(&d, &d, &c); /* G */
    bt_field_multiply(&out->x, &e, &a);
    bt_field_multiply(&out->y, &d, &b);
    bt_field_multiply(&out->t, &e, &b);
    bt_field_multiply(&out->z, &a, &d);
}

static void negate(point *p) {
    bt_field_subtract(&p->x, &ZERO, &p->x);
    bt_field_subtract(&p->t, &ZERO, &p->t);
}

static bool below(const uint32_t a[8], const uint32_t b[8]) {
    for (uint32_t i = 8; i--;)
        if (a[i] != b[i]) return a[i] < b[i];
    return false;
}

static void read_words(uint32_t out[8], const uint8_t bytes[32]) {
    for (uint32_t i = 0; i < 8; i++) out[i] = bt_u32(bytes + 4 * i);
}

/* Section 5.1.3. False for what is no point, or is written in another way than encoding would. */
static bool decode(point *p, const uint8_t bytes[32]) {
    static const uint32_t MODULUS[8] = {0xffffffed, 0xffffffff, 0xffffffff, 0xffffffff,
                                        0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff};
    bt_field u, v, w;
    const uint32_t odd = bytes[31] >> 7;
    read_words(p->y.word, bytes);
    p->y.word[7] &= 0x7fffffff;
    if (!below(p->y.word, MODULUS)) return false;
    /* x^2 = u/v with u = y^2 - 1, v = d y^2 + 1; a candidate for x is u v^3 (u v^7)^((p - 5)/8) */
    bt_field_multiply(&u, &p->y, &p->y);
    bt_field_multiply(&v, &u, &D);
    bt_field_subtract(&u, &u, &ONE);
    bt_field_add(&v, &v, &ONE);
    bt_field_multiply(&w, &v, &v);
    bt_field_multiply(&w, &w, &v); /* v^3 */
    bt_field_multiply(&p->x, &u, &w);
    bt_field_multiply(&w, &p->x, &w);
    bt_field_multiply(&w, &w, &v); /* u v^7 */
    bt_field_power(&w, &w, 252, 0xfd);
    bt_field_multiply(&p->x, &p->x, &w);
    bt_field_multiply(&w, &p->x, &p->x);
    bt_field_multiply(&w, &w, &v);
    if (!bt_field_equal(&w, &u)) {
        bt_field_multiply(&p->x, &p->x, &ROOT);
        bt_field_multiply(&w, &p->x, &p->x);
        bt_field_multiply(&w, &w, &v);
        if (!bt_field_equal(&w, &u)) return false;
    }
    bt_field_reduce(&p->x);
    if (bt_field_equal(&p->x, &ZERO) && odd) return false;
    if ((p->x.word[0] & 1) != odd) bt_field_subtract(&p->x, &ZERO, &p->x);
    p->z = ONE;
    bt_field_multiply(&p->t, &p->x, &p->y);
    return true;
}

static void encode(uint8_t out[32], const point *p) {
    bt_field inverse, x, y;
    bt_field_power(&inverse, &p->z, 255, 0xeb); /* to the power of p - 2 */
    bt_field_multiply(&x, &p->x, &inverse);
    bt_field_multiply(&y, &p->y, &inverse);
    bt_field_reduce(&x);
    bt_field_reduce(&y);
    y.word[7] |= (x.word[0] & 1) << 31;
    for (uint32_t i = 0; i < 8; i++) bt_put_u32(out + 4 * i, y.word[i]);
}

/* A number of 512 bits modulo the order, bit by bit from the top. */
static void reduce_to_order(uint32_t out[8], const uint8_t bytes[64]) {
    memset(out, 0, 32);
    for (uint32_t bit = 512; bit--;) {
        uint32_t carry = bytes[bit / 8] >> bit % 8 & 1;
        for (uint32_t i = 0; i < 8; i++) {
            const uint32_t word = out[i];
            out[i] = word << 1 | carry;
            carry = word >> 31;
        }
        if (below(out, ORDER)) continue;
        int64_t borrow = 0;
        for (uint32_t i = 0; i < 8; i++) {
            borrow += (int64_t)out[i] - ORDER[i];
            out[i] = (uint32_t)borrow;
            borrow >>= 32;
        }
    }
}

static bool has_small_order(const point *p) {
    point q = *p;
    for (uint32_t i = 0; i < 3; i++) add(&q, &q, &q);
    return bt_field_equal(&q.x, &ZERO) && bt_field_equal(&q.y, &q.z);
}

bool bt_ed25519_key_is_sound(const uint8_t key[BT_KEY_BYTES]) {
    point p;
    return decode(&p, key) && !has_small_order(&p);
}

bool bt_ed25519_verify(const uint8_t key[BT_KEY_BYTES], const uint8_t signature[BT_ED25519_BYTES],
                       const uint8_t *message, uint32_t length) {
    point table[4], sum; /* by two bits: nothing, B, -A, B - A */
    uint32_t s[8], k[8];
    uint8_t digest[64];
    bt_sha512 hash;
    read_words(s, signature + 32);
    if (!below(s, ORDER) || !decode(&table[2], key) || has_small_order(&table[2])) return false;
    bt_sha512_begin(&hash);
    bt_sha512_add(&hash, signature, 32);
    bt_sha512_add(&hash, key, BT_KEY_BYTES);
    bt_sha512_add(&hash, message, length);
    bt_sha512_end(&hash, digest);
    reduce_to_order(k, digest);
    table[0] = (point){.x = ZERO, .y = ONE, .z = ONE, .t = ZERO};
    decode(&table[1], BASE);
    negate(&table[2]);
    add(&table[3], &table[1], &table[2]);
    sum = table[0];
    for (uint32_t bit = 253; bit--;) { /* the order has 253 bits */
        add(&sum, &sum, &sum);
        const uint32_t which = (s[bit / 32] >> bit % 32 & 1) | (k[bit / 32] >> bit % 32 & 1) << 1;
        if (which) add(&sum, &sum, &table[which]);
    }
    encode(digest, &sum); /* S B - k A has to be R, to the last bit */
    return memcmp(digest, signature, 32) == 0;
}
