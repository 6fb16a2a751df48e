/* floor 5.0 - resources: the time and the memory that the program takes. */
#ifndef RESOURCES_H
#define RESOURCES_H

#include <stdint.h>

/* Writes "12.3 MB" to text [16] and returns it. */
const char *human_bytes(uint64_t bytes, char *text);
/* "" after the number 1, otherwise "s": "1 token", "2 tokens". */
const char *plural(uint64_t n);
double seconds_now(void);         /* monotonic */
uint64_t peak_rss_bytes(void);    /* the most memory the process has ever had resident */
uint64_t current_rss_bytes(void); /* resident now; 0 if the system does not say */

#endif
