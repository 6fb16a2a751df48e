/* floor 2.4 - snapshot: saves a text in mid-sentence to a file and continues it from there.
 *
 *   pf_continuation rest = {.rng = *pf_sampler_rng(sampler), .has_rng = true, .pending = &id,
 *                           .n_pending = 1};
 *   pf_session_save(session, &rest, "story.state", &error);
 *   ...
 *   pf_attention_options attention;                          // in another process, perhaps
 *   pf_snapshot_attention("story.state", &attention, &error);
 *   pf_session_load(session_of_that_attention, "story.state", &rest, &error);
 *   pf_continuation_free(&rest);
 *
 * A file, little-endian:
 *
 *   "PFSTATE\n", u32 version, u32 count of recent[], u64 file size, u64 fingerprint of the model
 *   attention options, random numbers, u64 tokens read, counts of what follows, u8 note[]
 *   i32 pending[], i32 recent[] (version 2; without them the version is 1), f32 logits[]
 *   the attention's state (pf_attention_visit): the used part of a KV cache, otherwise a fixed size
 *   u64 checksum of everything before it
 *
 * A continued text gets the same ids and logits as an uninterrupted one if threads, chunk and
 * machine are the same (with other numbers of threads they agree to rounding).
 */
#ifndef PF_SNAPSHOT_H
#define PF_SNAPSHOT_H

#include "file.h"
#include "rng.h"
#include "session.h"

enum { PF_NOTE_BYTES = 64, PF_RECENT_MOST = 1 << 24 };

/* What to save with a session so that its text continues exactly. Leave fields that you do not
 * need zero. */
typedef struct pf_continuation {
    pf_rng rng; /* state of the sampler's random numbers */
    bool has_rng;
    int32_t *pending; /* [n_pending] ids not read yet, e.g. the one sampled last */
    size_t n_pending;
    int32_t *recent; /* [n_recent] the last ids of the text, for a sampler with penalties */
    size_t n_recent; /* at most PF_RECENT_MOST */
    float *logits;   /* [V] after the last token read; NULL if not needed */
    unsigned char note[PF_NOTE_BYTES]; /* for the caller, e.g. a decoder's incomplete character */
} pf_continuation;

/* Frees pending, recent and logits, as filled in by pf_session_load. */
void pf_continuation_free(pf_continuation *rest);

/* The file appears complete or not at all. rest may be NULL. */
bool pf_session_save(pf_session *session, const pf_continuation *rest, const char *path,
                     pf_error *error);

/* Replaces the session's text by the saved one. The session must have the same model and attention
 * options, and enough context; threads and chunk may differ. Fills in *rest, which the caller
 * frees. On failure the session is empty, and the message begins with the path. */
bool pf_session_load(pf_session *session, const char *path, pf_continuation *rest, pf_error *error);
/* The same from bytes in memory; its messages do not begin with a path. */
bool pf_session_load_bytes(pf_session *session, pf_slice bytes, pf_continuation *rest,
                           pf_error *error);

/* The attention options that a session needs to load this file. */
bool pf_snapshot_attention(const char *path, pf_attention_options *attention, pf_error *error);

#endif
