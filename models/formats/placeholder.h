/* floor 3.0 - placeholder: what is sometimes downloaded in place of a file.
 *
 *   a Git LFS pointer   three lines of text, from `git clone` without Git LFS
 *   a web page          HTML, from a link to the page that shows a file, or that asks to log in
 */
#ifndef PF_PLACEHOLDER_H
#define PF_PLACEHOLDER_H

#include "file.h"

/* False with a message that says what to do if the bytes are one of these. */
bool pf_placeholder_check(pf_slice bytes, pf_error *error);

#endif
