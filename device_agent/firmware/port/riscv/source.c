/* A recording that the device plays to itself, as if it came from its own electrodes. */
#include <string.h>

#include "../../app/window.h"
#include "../../protocol/wire.h"
#include "riscv.h"
#include "semihosting.h"

enum { HEADER_BYTES = 32, BUFFERED = 4 /* windows that electrodes' own buffer would hold before one is lost */ };

static uint64_t window_bytes(const bt_source *s) {
    return 4 + 4 * (uint64_t)s->channels + 2 * (uint64_t)s->channels * s->samples;
}

bool bt_riscv_open_recording(bt_port *port, uint32_t speed_percent) {
    uint8_t header[HEADER_BYTES];
    bt_source *s = &port->source;
    s->file = bt_file_open("recording", BT_READ);
    if (s->file < 0) return true;
    if (!bt_file_read(s->file, 0, header, sizeof header) || memcmp(header, "BTRC", 4) != 0) return false;
    bt_reader r = {.at = header + 4, .left = sizeof header - 4};
    const uint32_t version = bt_read_u32(&r);
    s->channels = bt_read_u32(&r);
    s->samples = bt_read_u32(&r);
    s->windows = bt_read_u32(&r);
    const float period_s = bt_read_f32(&r);
    const bool possible = version == 1 && s->channels >= 1 && s->channels <= BT_MAX_CHANNELS && s->samples >= 1 &&
                          s->samples <= 1u << 20 && period_s > 0.0f && period_s < 4000.0f && speed_percent > 0;
    if (!possible || (uint64_t)(uint32_t)bt_file_length(s->file) != HEADER_BYTES + s->windows * window_bytes(s))
        return false;
    /* in float32, whole microseconds up to 16 s: arithmetic in double would be the only one, and 4 KB of code */
    s->period_us = (uint64_t)(uint32_t)(period_s * 1e6f + 0.5f) * 100 / speed_percent;
    return s->period_us > 0;
}

uint32_t bt_port_source_window_bytes(bt_port *port) {
    const bt_source *s = &port->source;
    return s->file >= 0 ? (uint32_t)(window_bytes(s) - 4 + BT_WINDOW_HEADER_BYTES) : 0;
}

void bt_port_source_start(bt_port *port) {
    bt_source *s = &port->source;
    s->running = s->file >= 0;
    s->started_us = bt_port_time_us(port) - s->next * s->period_us; /* goes on where it stopped */
}

void bt_port_source_stop(bt_port *port) { port->source.running = false; }

static uint64_t due_us(const bt_source *s, uint32_t window) { return s->started_us + (window + 1) * s->period_us; }

uint64_t bt_port_source_due(bt_port *port) {
    const bt_source *s = &port->source;
    return s->running && s->next < s->windows ? due_us(s, s->next) : UINT64_MAX;
}

uint32_t bt_port_source_take(bt_port *port, uint8_t *to, uint32_t most) {
    bt_source *s = &port->source;
    const uint64_t bytes = window_bytes(s), now = bt_port_time_us(port);
    if (!s->running || s->next >= s->windows) return 0;
    while (s->next + 1 < s->windows && due_us(s, s->next + BUFFERED) <= now) s->next++; /* too late: they are lost */
    const uint32_t id = s->next++, at = (uint32_t)(HEADER_BYTES + id * bytes), rest = (uint32_t)bytes - 4;
    bt_writer w = {.start = to, .most = most};
    bt_write_u32(&w, id);
    if (bytes - 4 + BT_WINDOW_HEADER_BYTES > most || !bt_file_read(s->file, at, to + w.length, 4)) return 0;
    w.length += 4;
    bt_write_u64(&w, due_us(s, id));
    return bt_file_read(s->file, at + 4, to + w.length, rest) ? w.length + rest : 0;
}
