#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum {
    /* An agent pings every second. One that has said nothing for so long is gone, though the line has not noticed: a
     * newer connection may take its place, and a serial line is talked to by nobody. */
    SILENCE_US = 4000000
};

void bt_stream_hang_up(bt_port *port) {
    if (port->connection < 0) return;
    close(port->connection);
    port->connection = -1;
    port->connection_lost = true;
}

void bt_stream_wait(bt_port *port, uint64_t timeout_us, bool sending) {
    const uint64_t silent = bt_port_time_us(port) - port->heard_us;
    const bool free_seat = port->connection < 0 || silent > SILENCE_US;
    if (port->serial_path && port->connection < 0) bt_serial_reopen(port);
    if (port->serial_path && silent > SILENCE_US && !port->told_of_silence) {
        port->told_of_silence = true;
        port->connection_lost = true;
    }
    struct pollfd wanted[2] = {
        {.fd = free_seat ? port->listener : -1, .events = POLLIN},
        {.fd = port->connection, .events = (short)(POLLIN | (sending ? POLLOUT : 0))},
    };
    const uint64_t most_us = 200000; /* a stop signal, or a seat that becomes free, is noticed within this time */
    const uint64_t wait_us = timeout_us < most_us ? timeout_us : most_us;
    if (poll(wanted, 2, (int)((wait_us + 999) / 1000)) <= 0) return;
    if (wanted[0].revents & POLLIN) bt_tcp_take_newcomer(port);
}

static bool only_busy(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

size_t bt_port_receive(bt_port *port, uint8_t *to, size_t most) {
    if (port->to_device) return bt_pipe_get(port->to_device, to, most);
    if (port->connection < 0) return 0;
    const ssize_t count = read(port->connection, to, most);
    if (count > 0) {
        port->heard_us = bt_port_time_us(port);
        port->told_of_silence = false;
        return (size_t)count;
    }
    if (count == 0 || !only_busy()) bt_stream_hang_up(port);
    return 0;
}

/* The process ignores SIGPIPE (main.c): a connection that has ended is an error code here. */
size_t bt_port_send(bt_port *port, const uint8_t *from, size_t count) {
    if (port->to_agent) return bt_pipe_put(port->to_agent, from, count);
    if (port->connection < 0) return 0;
    const ssize_t sent = write(port->connection, from, count);
    if (sent >= 0) return (size_t)sent;
    if (!only_busy()) bt_stream_hang_up(port);
    return 0;
}
