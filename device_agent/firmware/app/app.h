/* The wearable's life: serves the link, keeps windows, infers, trains in slices, commits. One context, no globals. */
#ifndef BIOTRAIN_APP_H
#define BIOTRAIN_APP_H

#include <stdbool.h>

#include "biotrain/engine.h"

enum { BT_DEVICE_ID_BYTES = 24 };

typedef struct bt_app bt_app;

/* Boot: takes its memory, counts the boot, brings back the plan and the last committed weights.
 * BT_NO_MEMORY or BT_STORAGE_FAILED when that cannot be; *app is then NULL. `memory` must outlive the app. */
bt_status bt_app_start(bt_app **app, bt_port *port, bt_memory *memory, const char *device_id);

/* Serve what has come over the link and what is due, then do at most one slice of work: one micro-batch of a fit
 * or one window of an evaluation. True when more can be done at once. */
bool bt_app_poll(bt_app *app);

/* The byte stream has ended or begun anew: forget the session. */
void bt_app_link_lost(bt_app *app);
/* When bt_app_poll should be called again though no byte has come, microseconds since boot. */
uint64_t bt_app_next_due(const bt_app *app);
/* Bytes wait for the link to take them. */
bool bt_app_sending(const bt_app *app);

/* What a port with files of its own does at start. The same checks and events as over the link. */
bt_status bt_app_accept_plan(bt_app *app, const uint8_t *file, uint32_t length);
bt_status bt_app_accept_weights(bt_app *app, const uint8_t *file, uint32_t length);
bt_status bt_app_take_keys(bt_app *app, const uint8_t *bytes, uint32_t length);
bool bt_app_has_keys(const bt_app *app);
bool bt_app_has_weights(const bt_app *app);

#endif
