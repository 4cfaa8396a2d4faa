/* Windows of the device's own electrodes, from the front end's driver to the app. */
#include "front_end.h"

#include <string.h>

#include "../../app/window.h"
#include "../../protocol/wire.h"

void bt_front_end_complete(bt_port *port, const int16_t *counts, uint64_t ended_us) {
    bt_front_end_state *s = &port->front_end;
    const uint32_t id = s->next++; /* one that is lost has a number, too: the hole tells */
    s->due_us = ended_us + s->about->period_us;
    if (s->put - s->taken >= BT_FRONT_END_WINDOWS) return;
    s->held[s->put % BT_FRONT_END_WINDOWS] = (bt_captured){counts, id, ended_us};
    s->put++;
    bt_gap9_wake(port);
}

static uint32_t body_bytes(const bt_front_end *f) {
    return BT_WINDOW_HEADER_BYTES + 4 * f->channels + 2 * f->channels * f->samples;
}

uint32_t bt_port_source_window_bytes(bt_port *port) {
    const bt_front_end *f = port->front_end.about;
    return f && f->channels ? body_bytes(f) : 0;
}

void bt_port_source_start(bt_port *port) {
    bt_front_end_state *s = &port->front_end;
    if (!s->about || !s->about->channels) return;
    s->taken = s->put; /* what was recorded before nobody asked for */
    s->due_us = bt_port_time_us(port) + s->about->period_us;
    s->running = true;
    bt_front_end_start(port);
}

void bt_port_source_stop(bt_port *port) {
    port->front_end.running = false;
    bt_front_end_stop(port);
}

uint64_t bt_port_source_due(bt_port *port) {
    const bt_front_end_state *s = &port->front_end;
    if (!s->running) return UINT64_MAX;
    return s->put != s->taken ? s->held[s->taken % BT_FRONT_END_WINDOWS].ended_us : s->due_us;
}

/* app/window.h: id, label, time, scale[channels], counts[channels][samples] */
uint32_t bt_port_source_take(bt_port *port, uint8_t *to, uint32_t most) {
    bt_front_end_state *s = &port->front_end;
    const bt_front_end *f = s->about;
    if (!s->running || s->put == s->taken || body_bytes(f) > most) return 0;
    const bt_captured *window = &s->held[s->taken % BT_FRONT_END_WINDOWS];
    bt_writer w = {.start = to, .most = most};
    bt_write_u32(&w, window->id);
    bt_write_u32(&w, (uint32_t)BT_NO_LABEL);
    bt_write_u64(&w, window->ended_us);
    for (uint32_t c = 0; c < f->channels; c++) bt_write_f32(&w, f->scale[c]);
    memcpy(to + w.length, window->counts, 2 * f->channels * f->samples);
    s->taken++;
    return body_bytes(f);
}
