#include "biotrain/status.h"

const char *bt_status_name(bt_status status) {
#define BT_STATUS_CASE(name, number) \
    case name: return #name;
    switch (status) {
        BT_STATUS_LIST(BT_STATUS_CASE)
        case BT_STATUS_COUNT: break;
    }
#undef BT_STATUS_CASE
    return "BT_UNKNOWN";
}
