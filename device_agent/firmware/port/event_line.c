/* Without stdio: its numbers alone would be a tenth of the image. */
#include "event_line.h"

#include <stdbool.h>
#include <string.h>

typedef struct text {
    char *at;
    const char *end;
} text;

static void put(text *t, const char *what) {
    while (*what && t->at < t->end) *t->at++ = *what++;
}

static void put_number(text *t, uint64_t number) {
    char digits[21], *d = digits + sizeof digits - 1;
    *d = 0;
    do { /* one division: a remainder of 64 bits is another function */
        const uint64_t tenth = number / 10;
        *--d = (char)('0' + (uint32_t)(number - 10 * tenth));
        number = tenth;
    } while (number);
    put(t, d);
}

/* Nine significant digits, as many as tell any two floats apart: D.DDDDDDDDeX. The value is `a` times 2^two times 10^ten
 * all the way; the sixty bits of `a` lose less on it than the ninth digit. */
static void put_float(text *t, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits >> 31) put(t, "-");
    const uint32_t exponent = bits >> 23 & 0xff;
    uint64_t a = (bits & 0x7fffff) | (exponent ? 0x800000u : 0);
    int two = (exponent ? (int)exponent : 1) - 150, ten = 0;
    if (!a || exponent == 0xff) { /* the log holds finite numbers */
        put(t, "0");
        return;
    }
    while (two < 0) {
        if (a < UINT64_MAX / 16)
            a *= 10, ten--;
        else
            a = (a + 1) / 2, two++;
    }
    for (; two > 0; two--) {
        if (a > UINT64_MAX / 2) a = (a + 5) / 10, ten++;
        a *= 2;
    }
    while (a >= 10000000000u) a /= 10, ten++;
    while (a < 1000000000u) a *= 10, ten--;
    a = (a + 5) / 10, ten++; /* nine digits, unless rounding has made it ten */
    if (a == 1000000000u) a /= 10, ten++;
    char digits[10];
    uint32_t nine = (uint32_t)a;
    for (int i = 8; i >= 0; i--) digits[i] = (char)('0' + nine % 10), nine /= 10;
    digits[9] = 0;
    const char first[] = {digits[0], '.', 0};
    put(t, first);
    put(t, digits + 1);
    ten += 8;
    put(t, ten < 0 ? "e-" : "e");
    put_number(t, (uint64_t)(ten < 0 ? -ten : ten));
}

static const char *kind_name(uint32_t kind) {
    static const char *const names[] = {"",          "BOOTED",    "PLAN_ACCEPTED", "WEIGHTS_WRITTEN", "FIT_STARTED",
                                        "FIT_PROGRESS", "FIT_DONE", "FIT_FAILED",   "COMMITTED",       "DISCARDED",
                                        "ROLLED_BACK", "WEARER_CHOSEN", "WEARER_ERASED", "FACTORY_RESET"};
    return kind < sizeof names / sizeof *names ? names[kind] : "";
}

static void put_field(text *t, const char *name, uint64_t value) {
    put(t, ",\"");
    put(t, name);
    put(t, "\":");
    put_number(t, value);
}

int bt_event_line(char line[BT_EVENT_LINE_BYTES], const bt_event *e) {
    char detail[BT_EVENT_DETAIL_BYTES];
    for (size_t i = 0; i < sizeof detail; i++) {
        const char c = e->detail[i];
        const bool plain = c == 0 || (c >= ' ' && c <= '~' && c != '"' && c != '\\');
        detail[i] = c;
        if (!plain) detail[i] = '?';
    }
    detail[sizeof detail - 1] = 0;
    text t = {line, line + BT_EVENT_LINE_BYTES - 1};
    put(&t, "{\"index\":");
    put_number(&t, e->index);
    put_field(&t, "boot", e->boot);
    put_field(&t, "seq", e->seq);
    put(&t, ",\"kind\":\"");
    put(&t, kind_name(e->kind));
    put(&t, "\"");
    put_field(&t, "time_us", e->time_us);
    put_field(&t, "fit_id", e->fit_id);
    put_field(&t, "epoch", e->epoch);
    put_field(&t, "step", e->step);
    put_field(&t, "steps", e->steps);
    put(&t, ",\"loss\":");
    put_float(&t, e->loss);
    put_field(&t, "weights_version", e->weights_version);
    put_field(&t, "l2_peak_bytes", e->l2_peak_bytes);
    put(&t, ",\"detail\":\"");
    put(&t, detail);
    put(&t, "\"}\n");
    *t.at = 0;
    return (int)(t.at - line);
}
