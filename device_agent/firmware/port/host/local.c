#include "local.h"

#include <stdlib.h>

#include "../../app/app.h"
#include "../../app/layout.h"
#include "host.h"

struct bt_local {
    bt_port port;
    bt_memory memory;
    bt_pipe to_device, to_agent;
    bool mapped;
    bt_app *app;
};

static bool start(bt_local *local, const char *device_id, const char *storage, const char *external, const char *log,
                  const char *recording, double speed, char error[BT_ERROR_BYTES]) {
    bt_port *port = &local->port;
    if (storage && !bt_host_open_storage(port, storage, error)) return false;
    if (log && !bt_host_open_event_log(port, log, error)) return false;
    if (recording && !bt_host_open_recording(port, recording, speed, error)) return false;
    if (!bt_host_take_memory(&local->memory)) {
        snprintf(error, BT_ERROR_BYTES, "not enough memory for the wearable's 9.6 MB");
        return false;
    }
    if (external && !(local->mapped = bt_host_map_l3(&local->memory, external, error))) return false;
    const bt_status status = bt_app_start(&local->app, port, &local->memory, device_id);
    if (status != BT_OK) snprintf(error, BT_ERROR_BYTES, "the wearable could not start: %s", bt_status_name(status));
    return status == BT_OK;
}

bt_local *bt_local_create(const char *device_id, const char *storage, uint8_t *storage_bytes, const char *external,
                          const char *log, const char *recording, double speed, char *error, size_t error_bytes) {
    char reason[BT_ERROR_BYTES] = "not enough memory";
    bt_local *local = calloc(1, sizeof *local);
    if (local) {
        bt_host_init(&local->port);
        local->port.to_device = &local->to_device;
        local->port.to_agent = &local->to_agent;
        local->port.storage_bytes = storage ? NULL : storage_bytes;
        if (start(local, device_id, storage, external, log, recording, speed, reason)) return local;
        bt_local_destroy(local);
    }
    snprintf(error, error_bytes, "%s", reason);
    return NULL;
}

uint32_t bt_local_storage_bytes(void) { return BT_STORAGE_BYTES; }

size_t bt_local_feed(bt_local *local, const uint8_t *bytes, size_t count) {
    return bt_pipe_put(&local->to_device, bytes, count);
}

size_t bt_local_drain(bt_local *local, uint8_t *bytes, size_t most) {
    return bt_pipe_get(&local->to_agent, bytes, most);
}

int bt_local_poll(bt_local *local) { return bt_app_poll(local->app); }

uint64_t bt_local_idle_us(bt_local *local) {
    const uint64_t due = bt_app_next_due(local->app), now = bt_port_time_us(&local->port);
    return due == UINT64_MAX ? UINT64_MAX : due > now ? due - now : 0;
}

void bt_local_link_lost(bt_local *local) {
    local->to_device.count = local->to_agent.count = 0;
    bt_app_link_lost(local->app);
}

void bt_local_cut_after(bt_local *local, int64_t writes) { local->port.writes_left = writes; }

void bt_local_destroy(bt_local *local) {
    if (!local) return;
    bt_host_close(&local->port);
    bt_host_give_back(&local->memory, local->mapped);
    free(local);
}
