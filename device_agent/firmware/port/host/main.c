/* biotrain-wearable: the virtual wearable as a process. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../app/app.h"
#include "stream.h"

typedef struct options {
    const char *listen, *serial, *storage, *log, *plan, *weights, *device_id, *recording, *trusted;
    double speed, watchdog_s;
    uint32_t cell[BT_CELL_SETTINGS]; /* no capacity: the device cannot tell */
    bool json, after_watchdog;
} options;

static const char USAGE[] =
    "usage: biotrain-wearable --storage FILE [--listen HOST:PORT | --serial DEVICE] [--log FILE] [--device-id ID]\n"
    "                         [--trusted-keys FILE] [--plan FILE --weights FILE] [--recording FILE.btrc [--speed X]] [--watchdog SECONDS] [--json]\n"
    "                         [--cell PERMILLE,MAH,UW,UJ,UJ,S,S,PERCENT]\n";

/* A signal handler can reach nothing else. */
static volatile sig_atomic_t stopping = 0;

static void stop(int signal) {
    (void)signal;
    stopping = 1;
}

/* Starts the process again, with the same process id, files and address. */
static struct {
    char *words[32];
    char listen[BT_ERROR_BYTES];
} again;

static void start_again(int signal) {
    static const char said[] = "biotrain-wearable: the watchdog: nothing was served for too long; starting again\n";
    (void)signal;
    if (write(STDERR_FILENO, said, sizeof said - 1) < 0) stopping = 0;
    execv("/proc/self/exe", again.words);
    _exit(70);
}

static void watch(const options *o, bt_port *port, int count, char **words, const char *address) {
    const struct sigaction action = {.sa_handler = start_again, .sa_flags = SA_NODEFER};
    int n = 0;
    if (o->watchdog_s <= 0.0 || count > 24) return;
    for (; n < count; n++) again.words[n] = words[n];
    if (!o->serial) { /* the later word wins: the port that was free is taken by now */
        snprintf(again.listen, sizeof again.listen, "%s", address);
        again.words[n++] = "--listen";
        again.words[n++] = again.listen;
    }
    if (!o->after_watchdog) again.words[n++] = "--after-watchdog";
    again.words[n] = NULL;
    sigaction(SIGALRM, &action, NULL);
    port->watchdog_us = (uint64_t)(o->watchdog_s * 1e6);
}

static int refuse(const char *what) {
    fprintf(stderr, "biotrain-wearable: %s\n", what);
    return 2;
}

/* Whole numbers with commas between (port/cell.h). */
static bool read_cell(uint32_t cell[BT_CELL_SETTINGS], const char *text) {
    char *end = NULL;
    for (int i = 0; i < BT_CELL_SETTINGS; i++, text = end + 1) {
        const unsigned long long value = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || value > UINT32_MAX) return false;
        if (*end != (i + 1 < BT_CELL_SETTINGS ? ',' : 0)) return false;
        cell[i] = (uint32_t)value;
    }
    return cell[BT_CELL_PERMILLE] <= 1000 && cell[BT_CELL_SPEED_PERCENT] > 0;
}

static bool read_options(options *o, int count, char **words, char error[BT_ERROR_BYTES]) {
    const struct {
        const char *name, **value;
    } known[] = {{"--listen", &o->listen},   {"--serial", &o->serial},   {"--storage", &o->storage},     {"--log", &o->log},
                 {"--plan", &o->plan},       {"--weights", &o->weights},     {"--device-id", &o->device_id},
                 {"--recording", &o->recording}, {"--trusted-keys", &o->trusted}};
    for (int i = 1; i < count; i++) {
        bool taken = false;
        if (strcmp(words[i], "--json") == 0 || strcmp(words[i], "--after-watchdog") == 0) {
            *(words[i][2] == 'j' ? &o->json : &o->after_watchdog) = true;
            continue;
        }
        const char *value = i + 1 < count ? words[i + 1] : NULL;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (strcmp(words[i], known[k].name) == 0 && value) {
                *known[k].value = value;
                taken = true;
            }
        if (strcmp(words[i], "--speed") == 0 && value) {
            char *end;
            o->speed = strtod(value, &end);
            taken = *end == 0 && o->speed > 0.0;
        }
        if (strcmp(words[i], "--watchdog") == 0 && value) {
            char *end;
            o->watchdog_s = strtod(value, &end);
            taken = *end == 0 && o->watchdog_s >= 0.0 && o->watchdog_s <= 3600.0;
        }
        if (strcmp(words[i], "--cell") == 0 && value) taken = read_cell(o->cell, value);
        if (!taken) {
            snprintf(error, BT_ERROR_BYTES, "%s: unknown option, or its value is missing or impossible\n%s", words[i],
                     USAGE);
            return false;
        }
        i++;
    }
    if (!o->storage) snprintf(error, BT_ERROR_BYTES, "--storage FILE is missing: where the model is kept\n%s", USAGE);
    return o->storage != NULL;
}

static uint8_t *read_file(const char *path, uint32_t *length, char error[BT_ERROR_BYTES]) {
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
    uint8_t *bytes = size > 0 && size < 1 << 24 ? malloc((size_t)size) : NULL;
    if (bytes) {
        rewind(file);
        if (fread(bytes, 1, (size_t)size, file) != (size_t)size) {
            free(bytes);
            bytes = NULL;
        }
    }
    if (!bytes) snprintf(error, BT_ERROR_BYTES, "cannot read %s: %s", path, size < 0 ? strerror(errno) : "its size");
    if (file) fclose(file);
    *length = (uint32_t)size;
    return bytes;
}

typedef bt_status (*accept_file)(bt_app *app, const uint8_t *file, uint32_t length);

static bool accept(bt_app *app, const char *path, accept_file how, char error[BT_ERROR_BYTES]) {
    uint32_t length;
    uint8_t *file = read_file(path, &length, error);
    if (!file) return false;
    const bt_status status = how(app, file, length);
    free(file);
    if (status != BT_OK)
        snprintf(error, BT_ERROR_BYTES, "%s was refused: %s; make it again, or name files that belong together", path,
                 bt_status_name(status) + 3);
    return status == BT_OK;
}

/* All sets of the file, oldest first; those that the device has passed are no news. Its first one comes with chance. */
static bool give_keys(bt_app *app, const char *path, char error[BT_ERROR_BYTES]) {
    uint32_t length;
    bt_status status = BT_OK;
    uint8_t *file = read_file(path, &length, error), one[512];
    if (!file) return false;
    for (uint32_t at = 0; at < length && status == BT_OK;) {
        uint32_t size = length - at < 6 ? length - at : 40u + 32u * file[at + 5] + 72u; /* docs/plan-format.md */
        if (size > length - at || size + 32 > sizeof one) size = length - at < 400 ? length - at : 400;
        memcpy(one, file + at, size);
        at += size;
        FILE *chance = bt_app_has_keys(app) ? NULL : fopen("/dev/urandom", "rb");
        if (chance && fread(one + size, 1, 32, chance) == 32) size += 32;
        if (chance) fclose(chance);
        status = bt_app_take_keys(app, one, size);
        /* behind what it has: the sets that led there are passed over */
        if ((status == BT_UNKNOWN_KEY || status == BT_OLDER_PLAN) && at < length) status = BT_OK;
    }
    free(file);
    if (status != BT_OK)
        snprintf(error, BT_ERROR_BYTES, "%s was refused: %s; give the newest trusted.keys of the device's site, and the "
                 "first ones to a device that holds no plan", path, bt_status_name(status) + 3);
    return status == BT_OK;
}

static void serve(bt_app *app, bt_port *port) {
    while (!stopping) {
        const bool more = bt_app_poll(app);
        if (port->connection_lost) {
            port->connection_lost = false;
            bt_app_link_lost(app);
        }
        const uint64_t due = bt_app_next_due(app), now = bt_port_time_us(port);
        bt_stream_wait(port, more || due <= now ? 0 : due - now, bt_app_sending(app));
        if (port->connection_lost) { /* the newcomer begins with nothing of the old one's */
            port->connection_lost = false;
            bt_app_link_lost(app);
        }
    }
}

static int run(const options *o, bt_port *port, bt_memory *memory, int count, char **words) {
    char error[BT_ERROR_BYTES];
    bt_app *app;
    uint16_t bound = 0;
    if (!bt_host_open_storage(port, o->storage, error)) return refuse(error);
    if (o->log && !bt_host_open_event_log(port, o->log, error)) return refuse(error);
    if (o->recording && !bt_host_open_recording(port, o->recording, o->speed, error)) return refuse(error);
    if (o->serial ? !bt_serial_open(port, o->serial, error) : !bt_tcp_listen(port, o->listen, &bound, error))
        return refuse(error);
    if (!bt_host_take_memory(memory)) return refuse("not enough memory for the wearable's 9.6 MB");
    const bt_status status = bt_app_start(&app, port, memory, o->device_id);
    if (status != BT_OK) {
        snprintf(error, sizeof error, "could not start: %s", bt_status_name(status));
        return refuse(error);
    }
    if (o->trusted && !give_keys(app, o->trusted, error)) return refuse(error);
    if (o->plan && !accept(app, o->plan, bt_app_accept_plan, error)) return refuse(error);
    /* weights that were adapted here are worth more than those that it was delivered with */
    if (o->weights && !bt_app_has_weights(app) && !accept(app, o->weights, bt_app_accept_weights, error))
        return refuse(error);
    char address[BT_ERROR_BYTES];
    if (o->serial)
        snprintf(address, sizeof address, "%s", o->serial);
    else
        snprintf(address, sizeof address, "%.*s:%u", (int)(strrchr(o->listen, ':') - o->listen), o->listen, bound);
    if (o->json)
        printf("{\"ready\":true,\"address\":\"%s\",\"pid\":%ld}\n", address, (long)getpid());
    else
        printf("wearable %s listens on %s\n", o->device_id, address);
    fflush(stdout);
    watch(o, port, count, words, address);
    serve(app, port);
    return 0;
}

int main(int count, char **words) {
    options o = {.listen = "127.0.0.1:0", .device_id = "wearable-1", .speed = 1.0, .watchdog_s = 30.0};
    char error[BT_ERROR_BYTES];
    struct sigaction action = {.sa_handler = stop};
    bt_port port;
    bt_memory memory = {0};
    if (count == 2 && strcmp(words[1], "--help") == 0) {
        fputs(USAGE, stdout);
        return 0;
    }
    if (!read_options(&o, count, words, error)) return refuse(error);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* an agent that has gone is no reason to end */
    bt_host_init(&port);
    port.after_watchdog = o.after_watchdog;
    bt_cell_init(&port.cell, o.cell);
    const int code = run(&o, &port, &memory, count, words);
    bt_host_close(&port);
    bt_host_give_back(&memory, false);
    return code;
}
