/* Every way a call can end. The numbers are part of the link protocol: add at the end, never reuse. */
#ifndef BIOTRAIN_STATUS_H
#define BIOTRAIN_STATUS_H

#include <stdint.h>

#define BT_STATUS_LIST(X)                                                                       \
    X(BT_OK, 0)                                                                                 \
    X(BT_BAD_MAGIC, 1)         /* not a plan or weights file */                                 \
    X(BT_BAD_VERSION, 2)       /* of another format version */                                  \
    X(BT_BAD_LENGTH, 3)        /* cut, or longer than it says */                                \
    X(BT_BAD_CRC, 4)           /* altered */                                                    \
    X(BT_BAD_PLAN, 5)          /* a table, offset, shape or instruction that cannot be */       \
    X(BT_NO_MEMORY, 6)         /* a memory level of this device is too small */                 \
    X(BT_WRONG_PLAN, 7)        /* weights of another plan */                                    \
    X(BT_NOT_FINITE, 8)        /* NaN or infinity in weights, loss or gradients */              \
    X(BT_BAD_ARGUMENT, 9)      /* shape, label or setting out of range */                       \
    X(BT_NO_PLAN, 10)                                                                           \
    X(BT_NO_WEIGHTS, 11)                                                                        \
    X(BT_WRONG_STATE, 12)      /* e.g. commit without a candidate */                            \
    X(BT_UNKNOWN_WINDOW, 13)   /* not (or no longer) in the ring */                             \
    X(BT_STORAGE_FAILED, 14)                                                                    \
    X(BT_BUSY, 15)                                                                              \
    X(BT_UNSUPPORTED, 16)      /* a request or protocol version this firmware does not know */  \
    X(BT_LOG_FULL, 17)         /* too many unacknowledged events to begin something new */       \
    X(BT_NO_SESSION, 18)       /* the handshake must come first (again) */                      \
    X(BT_FORGOTTEN, 19)        /* a repeated request whose answer is no longer held: unknown */ \
    X(BT_INCOMPLETE, 20)       /* parts of an upload are missing; nothing was executed */    \
    X(BT_TOO_MANY_WEARERS, 21) /* erase one first */                                            \
    X(BT_UNKNOWN_WEARER, 22)                                                                    \
    X(BT_WRONG_CLASS, 23)      /* made for another class of device */                           \
    X(BT_UNSIGNED, 24)         /* this device takes only what its site has signed */            \
    X(BT_UNKNOWN_KEY, 25)      /* signed with a key that this device does not trust (any more) */ \
    X(BT_BAD_SIGNATURE, 26)    /* altered, or not signed by who it says */                      \
    X(BT_OLDER_PLAN, 27)       /* a plan, or set of keys, from before the one in use */         \
    X(BT_FOREIGN_WEIGHTS, 28)  /* neither signed for this device nor committed by it */

#define BT_STATUS_ENUM(name, number) name = (number),
typedef enum bt_status { BT_STATUS_LIST(BT_STATUS_ENUM) BT_STATUS_COUNT } bt_status;
#undef BT_STATUS_ENUM

const char *bt_status_name(bt_status status);

#endif
