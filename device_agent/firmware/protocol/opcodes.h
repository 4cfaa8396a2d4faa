/* What an agent can ask. The numbers are part of the protocol: add at the end, never reuse. */
#ifndef BIOTRAIN_OPCODES_H
#define BIOTRAIN_OPCODES_H

typedef enum bt_opcode {
    BT_OP_HELLO = 1,
    BT_OP_INFO,
    BT_OP_STATISTICS,
    BT_OP_BEGIN, /* an upload; answers how much of it is already held */
    BT_OP_CHUNK, /* one-way */
    BT_OP_END,   /* checks the upload and executes it */
    BT_OP_READ,
    BT_OP_LABEL,
    BT_OP_STOP_FIT,
    BT_OP_COMMIT,
    BT_OP_DISCARD,
    BT_OP_ROLL_BACK,
    BT_OP_ACKNOWLEDGE,
    BT_OP_REPLAY, /* send the events again, from an index */
    BT_OP_START_RECORDING,
    BT_OP_STOP_RECORDING,
    BT_OP_PING, /* one-way; an agent that is there says so */
    BT_OP_WEARERS,
    BT_OP_CHOOSE_WEARER,
    BT_OP_ERASE_WEARER,
    BT_OP_FACTORY_RESET,
    BT_OP_KEYS, /* which keys are trusted */
    BT_OP_TRUST /* trust these instead */
} bt_opcode;

/* What can be uploaded or read. */
typedef enum bt_object {
    BT_OBJECT_WINDOW = 1,
    BT_OBJECT_PLAN,
    BT_OBJECT_WEIGHTS,
    BT_OBJECT_FIT,
    BT_OBJECT_EVALUATION,
    BT_OBJECT_NAMES
} bt_object;

/* What this firmware can beyond the first one of its protocol version: told in the handshake. Add at the end. */
enum {
    BT_CAN_FIT_SETTINGS = 1 << 0, /* a fit carries settings behind its windows; plans that train over a batch are trained */
    BT_CAN_WEARERS = 1 << 1,      /* several people's weights; erase; factory reset */
    BT_CAN_TRUST = 1 << 2,        /* keys of a site: signed plans and weights, refused otherwise */
    BT_CAPABILITIES = BT_CAN_FIT_SETTINGS | BT_CAN_WEARERS | BT_CAN_TRUST
};

/* Numbers of the banks on the link. */
typedef enum bt_link_bank { BT_LINK_SERVING = 0, BT_LINK_CANDIDATE, BT_LINK_PREVIOUS } bt_link_bank;

#endif
