/* floor 0.0 - checksum: 64 bits that detect damaged or different bytes. */
#ifndef PF_CHECKSUM_H
#define PF_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Continues the checksum of the preceding bytes (start with 0). Damage within 8 aligned bytes
 * always changes the sum; any other damage almost certainly does. It does not protect against
 * deliberate changes. The sum depends on how the bytes are divided between calls. About as fast as
 * memory. */
uint64_t pf_checksum(uint64_t sum, const void *bytes, size_t size);

#endif
