/* The fabric controller's life: it owns the devices, starts the cluster when there is something to serve, does for it what
 * only it can do, and sleeps when there is nothing. The app runs on the cluster (serve). */
#include "../../app/app.h"
#include "front_end.h"

typedef struct life {
    bt_port port;
    bt_app *app;
    bt_status status;
    uint64_t due_us;
    bool sending;
} life;

/* On the cluster's controller: all there is to do, then back. */
static void serve(void *arg) {
    life *l = arg;
    bt_gap9_start_counters(&l->port);
    if (!l->app) l->status = bt_app_start(&l->app, &l->port, &l->port.memory, BT_DEVICE_ID);
    if (!l->app) return;
    while (bt_app_poll(l->app)) {
    }
    l->due_us = bt_app_next_due(l->app);
    l->sending = bt_app_sending(l->app);
}

static void has_finished(void *arg) { ((bt_port *)arg)->finished = true; }

static void run_cluster(life *l) {
    bt_port *port = &l->port;
    struct pi_cluster_task task;
    port->finished = false;
    bt_gap9_set_clock(port);
    pi_cluster_task(&task, serve, l);
    task.slave_stack_size = BT_WORKER_STACK_BYTES;
    pi_task_callback(&port->ended, has_finished, port);
    pi_cluster_send_task_async(&port->cluster, &task, &port->ended);
    while (!port->finished) {
        if (port->wanted)
            bt_gap9_serve_request(port);
        else
            pi_yield();
    }
}

static void ticked(void *arg) { ((bt_port *)arg)->ticking = false; }
static void woke(void *arg) { ((bt_port *)arg)->waking = false; }

/* An event that is pending lets no pi_yield sleep: what an interrupt has brought is not overlooked. */
void bt_gap9_wake(bt_port *port) {
    if (port->waking) return;
    port->waking = true;
    pi_task_push(pi_task_callback(&port->woken, woke, port));
}

static bool something_to_serve(const life *l) {
    const bt_port *port = &l->port;
    if (port->from_agent.written != port->from_agent.read || port->front_end.put != port->front_end.taken) return true;
    return port->time_us >= l->due_us || (l->sending && port->to_agent.written == port->to_agent.read);
}

static void wait(life *l) {
    bt_port *port = &l->port;
    while (bt_gap9_set_clock(port), !something_to_serve(l)) {
        if (!port->ticking) {
            port->ticking = true;
            pi_task_push_delayed_us(pi_task_callback(&port->tick, ticked, port), BT_TICK_US);
        }
        pi_yield();
    }
}

/* Nowhere to keep a log besides storage: the agent reads that one. */
void bt_port_event(bt_port *port, const struct bt_event *event) {
    (void)port;
    (void)event;
}

/* What cannot start says why with its exit code, which a debugger or the boot loader sees. */
enum { NO_MEMORY = -1, NO_STORAGE = -2, NO_LINK = -3, NO_CLUSTER = -4, NO_FRONT_END = -5, NO_APP = -100 };

int main(void) {
    PI_L2 static life l;
    bt_port *port = &l.port;
    pi_freq_set(PI_FREQ_DOMAIN_FC, BT_FABRIC_HZ);
    port->time_low = pi_time_get_us();
    bt_gap9_prepare_to_be_asked(port);
    if (!bt_gap9_open_memory(port)) pmsis_exit(NO_MEMORY);
    if (!bt_gap9_open_storage(port)) pmsis_exit(NO_STORAGE);
    if (!bt_gap9_open_cluster(port)) pmsis_exit(NO_CLUSTER);
    port->front_end.about = bt_front_end_open(port);
    if (!port->front_end.about) pmsis_exit(NO_FRONT_END);
    if (!bt_gap9_open_link(port)) pmsis_exit(NO_LINK);
    bt_gap9_start_watchdog(port);
    for (;;) {
        run_cluster(&l);
        if (!l.app) pmsis_exit(NO_APP - (int)l.status);
        wait(&l);
    }
}
