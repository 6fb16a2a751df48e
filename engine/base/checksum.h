/* floor 0.0 - checksum: 64 bits that tell damaged or different bytes apart. */
#ifndef PF_CHECKSUM_H
#define PF_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Continues the sum of the bytes before (0 to begin). Damage within any 8 aligned bytes always changes it,
 * anything else all but surely; it is no protection against somebody who means harm. The sum depends on
 * how bytes are cut into calls. About as fast as memory is. */
uint64_t pf_checksum(uint64_t sum, const void *bytes, size_t size);

#endif
