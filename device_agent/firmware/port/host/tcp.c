#define _DEFAULT_SOURCE
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* An agent pings every second. One that has said nothing for so long is gone, though TCP has not noticed:
     * a newer connection may take its place. */
    SILENCE_US = 4000000
};

static int bind_first(const struct addrinfo *found, int *problem) {
    for (; found; found = found->ai_next) {
        const int on = 1, s = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s < 0) {
            *problem = errno;
            continue;
        }
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(s, found->ai_addr, found->ai_addrlen) == 0 && listen(s, 4) == 0) return s;
        *problem = errno;
        close(s);
    }
    return -1;
}

bool bt_tcp_listen(bt_port *port, const char *address, uint16_t *bound, char error[BT_ERROR_BYTES]) {
    char host[256];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    char *end = NULL;
    const unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || colon == address || (size_t)(colon - address) >= sizeof host || end == colon + 1 || *end ||
        number > 65535) {
        snprintf(error, BT_ERROR_BYTES, "--listen %s is not HOST:PORT; write for example 127.0.0.1:7777, or port 0 for "
                 "any free one", address);
        return false;
    }
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = 0;
    const int unresolved = getaddrinfo(host, colon + 1, &hints, &found);
    if (unresolved) {
        snprintf(error, BT_ERROR_BYTES, "cannot listen on %s: %s", address, gai_strerror(unresolved));
        return false;
    }
    int problem = 0;
    port->listener = bind_first(found, &problem);
    freeaddrinfo(found);
    if (port->listener < 0) {
        snprintf(error, BT_ERROR_BYTES, "cannot listen on %s: %s; choose another port with --listen, or port 0 for any "
                 "free one", address, strerror(problem));
        return false;
    }
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    getsockname(port->listener, (struct sockaddr *)&own, &length);
    *bound = ntohs(own.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&own)->sin6_port
                                             : ((struct sockaddr_in *)&own)->sin_port);
    return true;
}

static void hang_up(bt_port *port) {
    if (port->connection < 0) return;
    close(port->connection);
    port->connection = -1;
    port->connection_lost = true;
}

static void take_newcomer(bt_port *port) {
    const int on = 1, s = accept(port->listener, NULL, NULL);
    if (s < 0) return;
    hang_up(port);
    fcntl(s, F_SETFL, fcntl(s, F_GETFL) | O_NONBLOCK);
    fcntl(s, F_SETFD, FD_CLOEXEC);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    port->connection = s;
    port->heard_us = bt_port_time_us(port);
}

void bt_tcp_wait(bt_port *port, uint64_t timeout_us, bool sending) {
    const uint64_t silent = bt_port_time_us(port) - port->heard_us;
    const bool free_seat = port->connection < 0 || silent > SILENCE_US;
    struct pollfd wanted[2] = {
        {.fd = free_seat ? port->listener : -1, .events = POLLIN},
        {.fd = port->connection, .events = (short)(POLLIN | (sending ? POLLOUT : 0))},
    };
    const uint64_t most_us = 200000; /* a stop signal, or a seat that becomes free, is noticed within this time */
    const uint64_t wait_us = timeout_us < most_us ? timeout_us : most_us;
    if (poll(wanted, 2, (int)((wait_us + 999) / 1000)) <= 0) return;
    if (wanted[0].revents & POLLIN) take_newcomer(port);
}

size_t bt_port_receive(bt_port *port, uint8_t *to, size_t most) {
    if (port->to_device) return bt_pipe_get(port->to_device, to, most);
    if (port->connection < 0) return 0;
    const ssize_t count = recv(port->connection, to, most, 0);
    if (count > 0) {
        port->heard_us = bt_port_time_us(port);
        return (size_t)count;
    }
    if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) hang_up(port);
    return 0;
}

size_t bt_port_send(bt_port *port, const uint8_t *from, size_t count) {
    if (port->to_agent) return bt_pipe_put(port->to_agent, from, count);
    if (port->connection < 0) return 0;
    const ssize_t sent = send(port->connection, from, count, MSG_NOSIGNAL);
    if (sent >= 0) return (size_t)sent;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) hang_up(port);
    return 0;
}
