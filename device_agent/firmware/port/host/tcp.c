#define _DEFAULT_SOURCE
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

void bt_tcp_take_newcomer(bt_port *port) {
    const int on = 1, s = accept(port->listener, NULL, NULL);
    if (s < 0) return;
    bt_stream_hang_up(port);
    fcntl(s, F_SETFL, fcntl(s, F_GETFL) | O_NONBLOCK);
    fcntl(s, F_SETFD, FD_CLOEXEC);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    port->connection = s;
    port->heard_us = bt_port_time_us(port);
}
