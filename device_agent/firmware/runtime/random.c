#include "biotrain/engine.h"

/* splitmix64, upper half of each output. */
uint32_t bt_random_next(bt_random *random) {
    random->state += 0x9e3779b97f4a7c15u;
    uint64_t z = random->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

/* Fisher-Yates from the end; the index is the upper word of random * (i + 1): its bias is below 2^-20 here. */
void bt_shuffle(bt_random *random, uint32_t *indices, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) indices[i] = i;
    for (uint32_t i = count; i-- > 1;) {
        const uint32_t j = (uint32_t)(((uint64_t)bt_random_next(random) * (i + 1)) >> 32);
        const uint32_t held = indices[i];
        indices[i] = indices[j];
        indices[j] = held;
    }
}
