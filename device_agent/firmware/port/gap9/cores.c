/* Work shared by the cluster's eight workers; its controller waits for them. Core c takes pieces c, c + cores, ... */
#include "gap9.h"

typedef struct job {
    bt_piece piece;
    void *arg;
    uint32_t count, cores;
} job;

static void share(void *of) {
    const job *j = of;
    for (uint32_t i = pi_core_id(); i < j->count; i += j->cores) j->piece(j->arg, i);
}

void bt_port_parallel(bt_port *port, bt_piece piece, void *arg, uint32_t count) {
    job j = {piece, arg, count, count < BT_CORES ? count : BT_CORES}; /* on the controller's stack: in L1 */
    (void)port;
    if (j.cores < 2) {
        for (uint32_t i = 0; i < count; i++) piece(arg, i);
        return;
    }
    pi_cl_team_fork((int)j.cores, share, &j); /* returns when all have come back */
}

uint32_t bt_port_cores(bt_port *port) {
    (void)port;
    return BT_CORES;
}

bool bt_gap9_open_cluster(bt_port *port) {
    pi_cluster_conf_init(&port->cluster_conf);
    port->cluster_conf.cc_stack_size = BT_CONTROLLER_STACK_BYTES;
    pi_open_from_conf(&port->cluster, &port->cluster_conf);
    if (pi_cluster_open(&port->cluster)) return false;
    pi_freq_set(PI_FREQ_DOMAIN_CL, BT_CLUSTER_HZ);
    port->memory.l1 = pi_cl_l1_malloc(&port->cluster, BT_L1_BYTES); /* the only time: nothing allocates later */
    port->memory.l1_size = BT_L1_BYTES;
    return port->memory.l1 != NULL;
}
