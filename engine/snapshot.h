/* floor 2.4 - snapshot: a text in mid-sentence, saved to a file and continued from it.
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
 *   "PFSTATE\n", u32 version, u32 0, u64 size of the file, u64 fingerprint of the model
 *   the attention's options, u64 tokens read, random numbers, counts of what follows
 *   i32 pending[], f32 logits[], u8 note[]
 *   the attention's state (pf_attention_visit): of a KV cache the used part, else a fixed size
 *   u64 checksum of all before
 *
 * What was computed goes on exactly: the same ids and logits as without the break, if threads, chunk and
 * machine are the same (other numbers of threads agree to rounding).
 */
#ifndef PF_SNAPSHOT_H
#define PF_SNAPSHOT_H

#include "file.h"
#include "rng.h"
#include "session.h"

enum { PF_NOTE_BYTES = 64 };

/* What goes with a session so that the text goes on exactly. Zero what is not there. */
typedef struct pf_continuation {
    pf_rng rng; /* of the sampler */
    bool has_rng;
    int32_t *pending; /* [n_pending] ids given or drawn that the session has not read yet */
    size_t n_pending;
    float *logits; /* [V] after the last token read; NULL where they are not needed */
    unsigned char note[PF_NOTE_BYTES]; /* the caller's own (a decoder's held bytes) */
} pf_continuation;

/* Frees pending and logits of a continuation that pf_session_load filled in. */
void pf_continuation_free(pf_continuation *rest);

/* The file appears whole or not at all. rest may be NULL. */
bool pf_session_save(pf_session *session, const pf_continuation *rest, const char *path,
                     pf_error *error);

/* The session, of the same model and attention (threads, chunk and a context that is long enough are its
 * own), takes over the saved text in place of its own. *rest is filled in; free it. On failure the
 * session is empty, and the sentence begins with the path. */
bool pf_session_load(pf_session *session, const char *path, pf_continuation *rest, pf_error *error);
/* The same from bytes in memory; sentences do not name them. */
bool pf_session_load_bytes(pf_session *session, pf_slice bytes, pf_continuation *rest,
                           pf_error *error);

/* What a session must be made with to load this. */
bool pf_snapshot_attention(const char *path, pf_attention_options *attention, pf_error *error);

#endif
