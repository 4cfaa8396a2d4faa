/* The virtual wearable's own log: a JSON line for each event, for a checker that trusts neither link nor agent. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../event_line.h"
#include "host.h"

enum { TAIL_BYTES = 1024 }; /* more than a line */

/* Cut off a line that a kill left unfinished, and find the index of the last whole one. */
static bool find_end(bt_port *port) {
    char tail[TAIL_BYTES + 1];
    const off_t size = lseek(port->event_log, 0, SEEK_END), start = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
    const ssize_t count = pread(port->event_log, tail, TAIL_BYTES, start);
    if (size < 0 || count < 0) return false;
    tail[count] = 0;
    char *end = strrchr(tail, '\n');
    if (ftruncate(port->event_log, end ? start + (end - tail) + 1 : start) != 0) return false;
    if (!end) return true;
    *end = 0;
    const char *line = strrchr(tail, '\n');
    unsigned index;
    if (sscanf(line ? line + 1 : tail, "{\"index\":%u", &index) == 1) port->logged = index;
    return true;
}

bool bt_host_open_event_log(bt_port *port, const char *path, char error[BT_ERROR_BYTES]) {
    port->event_log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (port->event_log >= 0 && find_end(port)) return true;
    snprintf(error, BT_ERROR_BYTES, "cannot open the log %s: %s; name a file that can be written", path,
             strerror(errno));
    return false;
}

void bt_port_event(bt_port *port, const bt_event *e) {
    char line[BT_EVENT_LINE_BYTES];
    const bool logged = e->index == port->logged;
    port->logged = 0; /* only the first one told after a start can be there already */
    if (port->event_log < 0 || logged) return;
    const int length = bt_event_line(line, e);
    if (length > 0 && write(port->event_log, line, (size_t)length) != length) {
        /* a full disk must not stop the wearable; the event itself is safe in storage */
        close(port->event_log);
        port->event_log = -1;
    }
}
