#include "fault.h"

#include <string.h>

typedef struct text {
    const char *at, *end;
} text;

/* Behind the next `key` in the plan's names; false when there is none. */
static bool skip_to(text *t, const char *key) {
    const size_t length = strlen(key);
    for (; t->at < t->end && (size_t)(t->end - t->at) >= length; t->at++)
        if (memcmp(t->at, key, length) == 0) {
            t->at += length;
            return true;
        }
    return false;
}

static uint32_t read_number(text *t) {
    uint32_t number = 0;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) number = number * 10 + (uint32_t)(*t->at - '0');
    return number;
}

/* The layer is what stands before the parameter's last point. */
static text layer_of(text name) {
    for (const char *p = name.end; p > name.at; p--)
        if (p[-1] == '.') return (text){name.at, p - 1};
    return name;
}

/* {"parameters":[{"name":"block.weight","offset":0,...},...]}, as the compiler writes it (schemas/plan.py) */
static text find_layer(const bt_plan *plan, uint32_t weights_offset) {
    text t = {(const char *)plan->names, (const char *)plan->names + plan->names_length}, found = {0};
    uint32_t best = 0;
    if (!skip_to(&t, "\"parameters\":[")) return found;
    while (skip_to(&t, "{\"name\":\"")) {
        text name = {t.at, t.at};
        while (name.end < t.end && *name.end != '"') name.end++;
        t.at = name.end;
        if (!skip_to(&t, "\"offset\":")) return found;
        const uint32_t offset = read_number(&t);
        if (offset > weights_offset || (found.at && offset < best)) continue;
        best = offset;
        found = layer_of(name);
    }
    return found;
}

void bt_fault_place(const bt_plan *plan, uint32_t weights_offset, char detail[BT_EVENT_DETAIL_BYTES]) {
    static const char window[] = "a window", joint[] = " in ";
    text place = {window, window + sizeof window - 1};
    if (weights_offset != UINT32_MAX) place = find_layer(plan, weights_offset);
    const size_t said = strlen(detail), room = BT_EVENT_DETAIL_BYTES - 1 - said;
    if (!place.at || room < sizeof joint) return;
    memcpy(detail + said, joint, sizeof joint - 1);
    size_t length = (size_t)(place.end - place.at);
    const size_t most = room - (sizeof joint - 1);
    if (length > most) length = most;
    memcpy(detail + said + sizeof joint - 1, place.end - length, length);
    detail[said + sizeof joint - 1 + length] = 0;
}
