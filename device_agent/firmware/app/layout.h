/* Where things lie in persistent storage. Every record is either one of two that are written in turn, or is
 * written before a record that makes it count: whatever write is cut, one whole state remains. */
#ifndef BIOTRAIN_LAYOUT_H
#define BIOTRAIN_LAYOUT_H

enum {
    BT_STORAGE_SECTOR = 4096,
    BT_AT_STATE = 0,         /* two state records, a sector each */
    BT_AT_MARKS = 2 * 4096,  /* two acknowledgement marks, a sector each */
    BT_AT_EVENTS = 4 * 4096, /* BT_EVENT_SLOTS slots */
    BT_AT_TRUST = 28 * 4096, /* two records of the site's keys and the device's secret */
    BT_TRUST_RECORD_BYTES = 2048,
    BT_AT_PLANS = BT_AT_TRUST + 2 * BT_TRUST_RECORD_BYTES,
    BT_PLAN_SLOT_BYTES = 64 * 4096, /* the largest plan; the zoo's are below a tenth of it */
    BT_AT_BANKS = BT_AT_PLANS + 2 * BT_PLAN_SLOT_BYTES,
    BT_BANK_BYTES = 128 * 4096, /* the largest weights file */
    BT_BANKS = 3, /* of each wearer: those that serve, those before, and room to write the next ones */
    BT_WEARERS = 4,
    BT_STORAGE_BYTES = BT_AT_BANKS + BT_BANKS * BT_WEARERS * BT_BANK_BYTES
};

#endif
