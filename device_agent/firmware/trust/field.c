#include "field.h"

/* Add carry * 2^256, which is carry * 38 modulo p. What runs over once more leaves a small number behind. */
static void fold(bt_field *a, int64_t carry) {
    for (uint32_t round = 0; round < 2; round++) {
        carry *= 38;
        for (uint32_t i = 0; i < 8; i++) {
            carry += a->word[i];
            a->word[i] = (uint32_t)carry;
            carry >>= 32;
        }
    }
}

void bt_field_add(bt_field *out, const bt_field *a, const bt_field *b) {
    int64_t carry = 0;
    for (uint32_t i = 0; i < 8; i++) {
        carry += (int64_t)a->word[i] + b->word[i];
        out->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    fold(out, carry);
}

void bt_field_subtract(bt_field *out, const bt_field *a, const bt_field *b) {
    int64_t carry = 0;
    for (uint32_t i = 0; i < 8; i++) {
        carry += (int64_t)a->word[i] - b->word[i];
        out->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    fold(out, carry);
}

void bt_field_multiply(bt_field *out, const bt_field *a, const bt_field *b) {
    uint32_t product[16] = {0};
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t carry = 0;
        for (uint32_t j = 0; j < 8; j++) {
            carry += (uint64_t)a->word[i] * b->word[j] + product[i + j];
            product[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        product[i + 8] = (uint32_t)carry;
    }
    uint64_t carry = 0;
    for (uint32_t i = 0; i < 8; i++) {
        carry += (uint64_t)product[i + 8] * 38 + product[i];
        out->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    fold(out, (int64_t)carry);
}

void bt_field_power(bt_field *out, const bt_field *a, uint32_t bits, uint32_t low) {
    const bt_field base = *a;
    bt_field power = {{1}};
    while (bits--) {
        bt_field_multiply(&power, &power, &power);
        if (bits >= 8 || low >> bits & 1) bt_field_multiply(&power, &power, &base);
    }
    *out = power;
}

void bt_field_reduce(bt_field *a) {
    /* twice: 2^256 - 1 = 2p + 37. Each round adds 19 where the number is p or more, and drops bit 255. */
    for (uint32_t round = 0; round < 2; round++) {
        bt_field plus = *a;
        uint64_t carry = 19;
        for (uint32_t i = 0; i < 8; i++) {
            carry += plus.word[i];
            plus.word[i] = (uint32_t)carry;
            carry >>= 32;
        }
        if (!carry && !(plus.word[7] >> 31)) return;
        /* a >= p: a - p = a + 19 - 2^255 */
        plus.word[7] -= 0x80000000u;
        *a = plus;
    }
}

bool bt_field_equal(const bt_field *a, const bt_field *b) {
    bt_field difference;
    uint32_t any = 0;
    bt_field_subtract(&difference, a, b);
    bt_field_reduce(&difference);
    for (uint32_t i = 0; i < 8; i++) any |= difference.word[i];
    return any == 0;
}
