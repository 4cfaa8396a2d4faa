/* memset, memcpy and memmove by words: the C library's, built for size, go byte by byte, and activations are copied and
 * cleared all the time. Built without the optimisation that would turn these loops into calls of themselves. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint32_t __attribute__((may_alias)) word;

static int aligned(const void *a, const void *b) { return !(((uintptr_t)a | (uintptr_t)b) & 3); }

void *memset(void *to, int value, size_t count) {
    uint8_t *byte = to, *end = byte + count;
    const uint32_t four = (uint32_t)(uint8_t)value * 0x01010101u;
    while (byte != end && ((uintptr_t)byte & 3)) *byte++ = (uint8_t)value;
    word *w = (word *)(void *)byte;
    for (; (size_t)(end - (uint8_t *)w) >= 32; w += 8)
        w[0] = four, w[1] = four, w[2] = four, w[3] = four, w[4] = four, w[5] = four, w[6] = four, w[7] = four;
    for (; (size_t)(end - (uint8_t *)w) >= 4; w++) *w = four;
    for (byte = (uint8_t *)w; byte != end; byte++) *byte = (uint8_t)value;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    uint8_t *byte = to, *end = byte + count;
    const uint8_t *source = from;
    if (aligned(to, from)) {
        word *w = (word *)to;
        const word *s = (const word *)from;
        for (; (size_t)(end - (uint8_t *)w) >= 32; w += 8, s += 8) {
            const uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
            w[0] = a, w[1] = b, w[2] = c, w[3] = d, w[4] = e, w[5] = f, w[6] = g, w[7] = h;
        }
        for (; (size_t)(end - (uint8_t *)w) >= 4; w++, s++) *w = *s;
        byte = (uint8_t *)w;
        source = (const uint8_t *)s;
    }
    while (byte != end) *byte++ = *source++;
    return to;
}

void *memmove(void *to, const void *from, size_t count) {
    uint8_t *byte = to;
    const uint8_t *source = from;
    if (byte <= source || byte >= source + count) {
        if (byte + 32 <= source || byte >= source + count) return memcpy(to, from, count);
        for (size_t i = 0; i < count; i++) byte[i] = source[i];
        return to;
    }
    if (aligned(to, from) && !(count & 3)) {
        word *w = (word *)to;
        const word *s = (const word *)from;
        for (size_t i = count / 4; i > 0; i--) w[i - 1] = s[i - 1];
        return to;
    }
    for (size_t i = count; i > 0; i--) byte[i - 1] = source[i - 1];
    return to;
}
