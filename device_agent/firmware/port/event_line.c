#include "event_line.h"

#include <stdio.h>

static const char *kind_name(uint32_t kind) {
    static const char *const names[] = {"",         "BOOTED",   "PLAN_ACCEPTED", "WEIGHTS_WRITTEN",
                                        "FIT_STARTED", "FIT_PROGRESS", "FIT_DONE", "FIT_FAILED",
                                        "COMMITTED", "DISCARDED", "ROLLED_BACK", "WEARER_CHOSEN",
                                        "WEARER_ERASED", "FACTORY_RESET"};
    return kind < sizeof names / sizeof *names ? names[kind] : "";
}

int bt_event_line(char line[BT_EVENT_LINE_BYTES], const bt_event *e) {
    char detail[BT_EVENT_DETAIL_BYTES];
    for (size_t i = 0; i < sizeof detail; i++) {
        const char c = e->detail[i];
        detail[i] = c == 0 || (c >= ' ' && c <= '~' && c != '"' && c != '\\') ? c : '?';
    }
    return snprintf(
        line, BT_EVENT_LINE_BYTES,
        "{\"index\":%lu,\"boot\":%lu,\"seq\":%lu,\"kind\":\"%s\",\"time_us\":%llu,\"fit_id\":%lu,\"epoch\":%lu,"
        "\"step\":%lu,\"steps\":%lu,\"loss\":%.9g,\"weights_version\":%lu,\"l2_peak_bytes\":%lu,\"detail\":\"%s\"}\n",
        (unsigned long)e->index, (unsigned long)e->boot, (unsigned long)e->seq, kind_name(e->kind),
        (unsigned long long)e->time_us, (unsigned long)e->fit_id, (unsigned long)e->epoch, (unsigned long)e->step,
        (unsigned long)e->steps, (double)e->loss, (unsigned long)e->weights_version, (unsigned long)e->l2_peak_bytes,
        detail);
}
