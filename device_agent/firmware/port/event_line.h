/* An event as a line of a port's own log file. */
#ifndef BIOTRAIN_EVENT_LINE_H
#define BIOTRAIN_EVENT_LINE_H

#include "../app/event.h"

enum { BT_EVENT_LINE_BYTES = 512 };

/* A JSON object and a newline; returns its length. */
int bt_event_line(char line[BT_EVENT_LINE_BYTES], const bt_event *event);

#endif
