/* The wearable inside another process: the same app, its link two pipes of bytes. One thread at a time. */
#ifndef BIOTRAIN_HOST_LOCAL_H
#define BIOTRAIN_HOST_LOCAL_H

#include <stddef.h>
#include <stdint.h>

typedef struct bt_local bt_local;

/* Storage is a file, or `storage_bytes` (bt_local_storage_bytes() long, the caller's). `external` is a file for the
 * external memory, which then outlives the process. Any path may be NULL. NULL when it cannot start, with a sentence
 * in `error`. */
bt_local *bt_local_create(const char *device_id, const char *storage, uint8_t *storage_bytes, const char *external,
                          const char *log, const char *recording, double speed, char *error, size_t error_bytes);
uint32_t bt_local_storage_bytes(void);
/* Both return how many bytes were taken or given. */
size_t bt_local_feed(bt_local *local, const uint8_t *bytes, size_t count);
size_t bt_local_drain(bt_local *local, uint8_t *bytes, size_t most);
/* One slice; 1 when there is more to do at once. */
int bt_local_poll(bt_local *local);
/* How long nothing need be done if no byte comes, microseconds. */
uint64_t bt_local_idle_us(bt_local *local);
void bt_local_link_lost(bt_local *local);
/* For tests: the power goes in the middle of write number `writes` from now; negative: it stays. */
void bt_local_cut_after(bt_local *local, int64_t writes);
void bt_local_destroy(bt_local *local);

#endif
