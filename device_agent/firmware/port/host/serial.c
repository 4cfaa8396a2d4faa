#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "stream.h"

/* Eight bits as they are; the speed stays as it was set: a pseudo-terminal or a USB line has none. */
static bool make_raw(int file) {
    struct termios settings;
    if (tcgetattr(file, &settings) != 0) return false;
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL | CREAD;
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    return tcsetattr(file, TCSANOW, &settings) == 0 && tcflush(file, TCIOFLUSH) == 0;
}

static int open_raw(const char *path) {
    const int file = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return -1;
    if (make_raw(file)) return file;
    const int problem = errno;
    close(file);
    errno = problem;
    return -1;
}

bool bt_serial_open(bt_port *port, const char *path, char error[BT_ERROR_BYTES]) {
    port->serial_path = path;
    port->connection = open_raw(path);
    if (port->connection >= 0) return true;
    snprintf(error, BT_ERROR_BYTES, "cannot open the serial line %s: %s; name a terminal device that can be read and "
             "written", path, strerror(errno));
    return false;
}

void bt_serial_reopen(bt_port *port) { port->connection = open_raw(port->serial_path); }
