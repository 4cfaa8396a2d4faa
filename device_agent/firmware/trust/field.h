/* Numbers modulo p = 2^255 - 19: eight words of 32 bits, any value below 2^256 that is right modulo p. */
#ifndef BIOTRAIN_FIELD_H
#define BIOTRAIN_FIELD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bt_field {
    uint32_t word[8];
} bt_field;

void bt_field_add(bt_field *out, const bt_field *a, const bt_field *b);
void bt_field_subtract(bt_field *out, const bt_field *a, const bt_field *b);
void bt_field_multiply(bt_field *out, const bt_field *a, const bt_field *b);
/* a to the power whose lowest byte is `low` and whose other bits, `bits` in all, are ones. */
void bt_field_power(bt_field *out, const bt_field *a, uint32_t bits, uint32_t low);
/* The one value below p. */
void bt_field_reduce(bt_field *a);
bool bt_field_equal(const bt_field *a, const bt_field *b);

#endif
