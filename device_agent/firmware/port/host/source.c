/* A recording that the device plays to itself, as if it came from its own electrodes. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "../../app/window.h"
#include "../../protocol/wire.h"
#include "host.h"

enum { HEADER_BYTES = 32, BUFFERED = 4 /* windows that electrodes' own buffer would hold before one is lost */ };

static uint64_t window_bytes(const bt_source *s) {
    return 4 + 4 * (uint64_t)s->channels + 2 * (uint64_t)s->channels * s->samples;
}

bool bt_host_open_recording(bt_port *port, const char *path, double speed, char error[BT_ERROR_BYTES]) {
    uint8_t header[HEADER_BYTES];
    bt_source *s = &port->source;
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(error, BT_ERROR_BYTES, "cannot open the recording %s: %s", path, strerror(errno));
        return false;
    }
    const bool read = fread(header, 1, sizeof header, file) == sizeof header && memcmp(header, "BTRC", 4) == 0;
    bt_reader r = {.at = header + 4, .left = sizeof header - 4};
    const uint32_t version = bt_read_u32(&r);
    s->channels = bt_read_u32(&r);
    s->samples = bt_read_u32(&r);
    s->windows = bt_read_u32(&r);
    const float period_s = bt_read_f32(&r);
    const bool possible = read && version == 1 && s->channels >= 1 && s->channels <= BT_MAX_CHANNELS &&
                          s->samples >= 1 && s->samples <= 1u << 20 && period_s > 0.0f && speed > 0.0;
    fseek(file, 0, SEEK_END);
    if (!possible || (uint64_t)ftell(file) != HEADER_BYTES + s->windows * window_bytes(s)) {
        snprintf(error, BT_ERROR_BYTES, "%s is not a whole recording of version 1; make it again with `biotrain wearable "
                 "--record FILE.npz`", path);
        fclose(file);
        return false;
    }
    s->file = file;
    s->period_us = (double)period_s * 1e6 / speed;
    return true;
}

uint32_t bt_port_source_window_bytes(bt_port *port) {
    const bt_source *s = &port->source;
    return s->file ? (uint32_t)(window_bytes(s) - 4 + BT_WINDOW_HEADER_BYTES) : 0;
}

void bt_port_source_start(bt_port *port) {
    bt_source *s = &port->source;
    s->running = s->file != NULL;
    s->started_us = bt_port_time_us(port) - (uint64_t)(s->next * s->period_us); /* goes on where it stopped */
}

void bt_port_source_stop(bt_port *port) { port->source.running = false; }

static uint64_t due_us(const bt_source *s, uint32_t window) {
    return s->started_us + (uint64_t)((window + 1) * s->period_us);
}

uint64_t bt_port_source_due(bt_port *port) {
    const bt_source *s = &port->source;
    return s->running && s->next < s->windows ? due_us(s, s->next) : UINT64_MAX;
}

uint32_t bt_port_source_take(bt_port *port, uint8_t *to, uint32_t most) {
    bt_source *s = &port->source;
    const uint64_t bytes = window_bytes(s), now = bt_port_time_us(port);
    if (!s->running || s->next >= s->windows) return 0;
    while (s->next + 1 < s->windows && due_us(s, s->next + BUFFERED) <= now) s->next++; /* too late: they are lost */
    const uint32_t id = s->next++;
    const uint64_t ended = due_us(s, id);
    bt_writer w = {.start = to, .most = most};
    bt_write_u32(&w, id);
    if (bytes - 4 + BT_WINDOW_HEADER_BYTES > most || fseek(s->file, (long)(HEADER_BYTES + id * bytes), SEEK_SET) != 0 ||
        fread(to + w.length, 1, 4, s->file) != 4)
        return 0;
    w.length += 4;
    bt_write_u64(&w, ended);
    const size_t rest = (size_t)bytes - 4;
    return fread(to + w.length, 1, rest, s->file) == rest ? w.length + (uint32_t)rest : 0;
}
