#include <string.h>

#include "host.h"

size_t bt_pipe_put(bt_pipe *pipe, const uint8_t *from, size_t count) {
    const size_t room = sizeof pipe->bytes - pipe->count;
    if (count > room) count = room;
    for (size_t i = 0; i < count; i++) pipe->bytes[(pipe->start + pipe->count + i) % sizeof pipe->bytes] = from[i];
    pipe->count += count;
    return count;
}

size_t bt_pipe_get(bt_pipe *pipe, uint8_t *to, size_t most) {
    if (most > pipe->count) most = pipe->count;
    for (size_t i = 0; i < most; i++) to[i] = pipe->bytes[(pipe->start + i) % sizeof pipe->bytes];
    pipe->start = (pipe->start + most) % sizeof pipe->bytes;
    pipe->count -= most;
    return most;
}
