/* The wearable as an image: the same app as on the host, over the board's devices. Its files lie in the emulator's
 * working folder: storage; and, where they are wanted, log, plan, weights, recording, device-id, ready (the line that
 * it prints when it serves). */
#include <string.h>

#include "../../app/app.h"
#include "riscv.h"
#include "semihosting.h"
#include "uart.h"

int main(void);

enum { CANNOT_START = 2 };

static _Noreturn void refuse(const char *what, bt_status status) {
    char line[192] = "biotrain-wearable: ";
    strncat(line, what, 120);
    if (status != BT_OK) strncat(line, bt_status_name(status) + 3, 40);
    bt_complain(line);
    bt_exit(CANNOT_START);
}

/* The text of a small file, without its line's end; what `to` holds stays where there is none. */
static void read_line(const char *name, char *to, uint32_t most) {
    const int file = bt_file_open(name, BT_READ);
    if (file < 0) return;
    const int32_t length = bt_file_length(file);
    const uint32_t count = length < 0 ? 0 : (uint32_t)length < most - 1 ? (uint32_t)length : most - 1;
    if (bt_file_read(file, 0, to, count)) to[count] = 0;
    bt_file_close(file);
    char *end = strchr(to, '\n');
    if (end) *end = 0;
}

/* The top of L3 is free while the app has no plan that uses it; a file is read there, and copied by who accepts it. */
static uint8_t *load(const char *name, const bt_memory *memory, uint32_t *length) {
    const int file = bt_file_open(name, BT_READ);
    if (file < 0) return NULL;
    const int32_t bytes = bt_file_length(file);
    const uint32_t room = 1u << 20;
    uint8_t *to = memory->l3 + memory->l3_size - room;
    if (bytes <= 0 || (uint32_t)bytes > room || !bt_file_read(file, 0, to, (uint32_t)bytes))
        refuse("a file to start with cannot be read: ", BT_BAD_LENGTH);
    bt_file_close(file);
    *length = (uint32_t)bytes;
    return to;
}

static void accept_files(bt_app *app, const bt_memory *memory) {
    uint32_t length;
    const uint8_t *plan = load("plan", memory, &length);
    bt_status status = plan ? bt_app_accept_plan(app, plan, length) : BT_OK;
    if (status != BT_OK)
        refuse("--plan was refused; make it again, or name files that belong together: ", status);
    /* weights that were adapted here are worth more than those that it was delivered with */
    const uint8_t *weights = bt_app_has_weights(app) ? NULL : load("weights", memory, &length);
    status = weights ? bt_app_accept_weights(app, weights, length) : BT_OK;
    if (status != BT_OK)
        refuse("--weights were refused; make them again, or name files that belong together: ", status);
}

size_t bt_port_receive(bt_port *port, uint8_t *to, size_t most) {
    return port->uart ? bt_uart_receive(to, most) : bt_console_receive(&port->console, to, most);
}

size_t bt_port_send(bt_port *port, const uint8_t *from, size_t count) {
    return port->uart ? bt_uart_send(from, count) : bt_console_send(&port->console, from, count);
}

static void serve(bt_app *app, bt_port *port) {
    for (;;) {
        const bool more = bt_app_poll(app);
        if (!more) bt_riscv_sleep(port, bt_app_next_due(app), bt_app_sending(app));
    }
}

int main(void) {
    static bt_port port;
    static bt_memory memory;
    char device_id[BT_DEVICE_ID_BYTES] = "wearable-1", ready[256] = "";
    bt_app *app;
    port.cores = bt_argument("cores", 1);
    bt_riscv_open_event_log(&port);
    read_line("device-id", device_id, sizeof device_id);
    read_line("ready", ready, sizeof ready);
    if (!bt_riscv_open_storage(&port)) refuse("the storage file cannot be used", BT_OK);
    if (!bt_riscv_open_recording(&port, bt_argument("speed", 100)))
        refuse("the recording is not whole, or not of version 1", BT_OK);
    bt_riscv_memory(&memory);
    const bt_status status = bt_app_start(&app, &port, &memory, device_id);
    if (status != BT_OK) refuse("could not start: ", status);
    accept_files(app, &memory);
    port.uart = bt_argument("uart", 0) != 0;
    if (port.uart)
        bt_uart_start();
    else if (!bt_console_start(&port.console))
        refuse("the machine has no serial line for the link", BT_OK);
    bt_say(ready);
    port.watchdog_us = 1000ull * bt_argument("watchdog", 0); /* milliseconds */
    serve(app, &port);
}
