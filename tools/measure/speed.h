/* floor 5.5 - speed: how fast a text was written, in terms of a machine's limit. */
#ifndef SPEED_H
#define SPEED_H

#include "attention_options.h"
#include "error.h"
#include "model.h"

typedef struct text_speed {
    double first_seconds;  /* from the start of the command or turn to the first token; 0: none */
    double decode_seconds; /* for all tokens after the first, sampling and printing included */
    size_t decoded;        /* tokens after the first: each has read all weights, and the state */
    size_t position;       /* tokens in the text before them */
} text_speed;

double speed_tokens_per_second(const text_speed *s); /* 0 if nothing was decoded */

/* Bytes per second that these tokens read: weights and state, as flop_count.h counts them. */
double speed_bytes_per_second(const text_speed *s, const pf_model *model,
                              const pf_attention_options *attention);

/* Bytes per second that n_threads threads of this machine read now, from memory far larger than the
 * caches. Takes 256 MB while it measures, for about 50 ms. 0 with a message if memory runs out. */
double speed_limit(int n_threads, pf_error *error);

/* "190 ms" or "2.4 s". Writes to text [16] and returns it. */
const char *human_seconds(double seconds, char *text);

/* ", 70.1 tokens/s, 9.12 GB/s"; with limit > 0 also the share of it. Empty if nothing was decoded.
 * Writes to text [SPEED_TEXT] and returns it. */
enum { SPEED_TEXT = 128 };
const char *speed_text(const text_speed *s, const pf_model *model,
                       const pf_attention_options *attention, double limit, char *text);

#endif
