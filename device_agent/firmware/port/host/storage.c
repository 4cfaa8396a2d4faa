/* Persistent storage on a host: a file that is synchronised at every write, or bytes of the caller. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../app/layout.h"
#include "host.h"

bool bt_host_open_storage(bt_port *port, const char *path, char error[BT_ERROR_BYTES]) {
    struct stat found;
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        snprintf(error, BT_ERROR_BYTES, "cannot open the storage file %s: %s; name a file that can be written", path,
                 strerror(errno));
        return false;
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        snprintf(error, BT_ERROR_BYTES, "the storage file %s is in use by another wearable; stop that one, or name "
                 "another file", path);
    } else if (fstat(file, &found) != 0) {
        snprintf(error, BT_ERROR_BYTES, "cannot read the storage file %s: %s", path, strerror(errno));
    } else if (found.st_size != 0 && found.st_size != BT_STORAGE_BYTES) {
        snprintf(error, BT_ERROR_BYTES, "%s has %lld bytes, a wearable's storage has %d; name another file, or a new "
                 "one, which is then created", path, (long long)found.st_size, (int)BT_STORAGE_BYTES);
    } else if (found.st_size == 0 && ftruncate(file, BT_STORAGE_BYTES) != 0) {
        snprintf(error, BT_ERROR_BYTES, "cannot make %s %d bytes long: %s; free some space", path,
                 (int)BT_STORAGE_BYTES, strerror(errno));
    } else {
        port->storage_file = file;
        return true;
    }
    close(file);
    return false;
}

uint32_t bt_port_storage_size(bt_port *port) {
    return port->storage_file >= 0 || port->storage_bytes ? BT_STORAGE_BYTES : 0;
}

static bool outside(uint32_t offset, uint32_t count) {
    return offset > BT_STORAGE_BYTES || count > BT_STORAGE_BYTES - offset;
}

int bt_port_storage_read(bt_port *port, uint32_t offset, void *to, uint32_t count) {
    if (outside(offset, count)) return -1;
    if (port->storage_bytes) {
        memcpy(to, port->storage_bytes + offset, count);
        return 0;
    }
    for (uint32_t done = 0; done < count;) {
        const ssize_t part = pread(port->storage_file, (uint8_t *)to + done, count - done, (off_t)offset + done);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) return -1;
        done += (uint32_t)part;
    }
    return 0;
}

static int write_all(bt_port *port, uint32_t offset, const void *from, uint32_t count) {
    if (port->storage_bytes) {
        memcpy(port->storage_bytes + offset, from, count);
        return 0;
    }
    for (uint32_t done = 0; done < count;) {
        const ssize_t part = pwrite(port->storage_file, (const uint8_t *)from + done, count - done,
                                    (off_t)offset + done);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) return -1;
        done += (uint32_t)part;
    }
    return fdatasync(port->storage_file);
}

int bt_port_storage_write(bt_port *port, uint32_t offset, const void *from, uint32_t count) {
    if (outside(offset, count)) return -1;
    if (port->writes_left == 0) return -1;
    if (port->writes_left == 1) count /= 2; /* the power goes in the middle of this one */
    const int status = write_all(port, offset, from, count);
    if (port->writes_left < 0) return status;
    port->writes_left--;
    return port->writes_left == 0 ? -1 : status;
}
