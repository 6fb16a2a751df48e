/* floor 5.0 - address space: a sentence where OpenBLAS would wait for ever for its buffers. */
#ifndef ADDRESS_SPACE_H
#define ADDRESS_SPACE_H

/* Call this first in main: the libraries have started. Until then, and only under a limit on
 * address space (ulimit -v), the program ends with a message if starting up takes more than a
 * second of processor time. */
void address_space_suffices(void);

#endif
