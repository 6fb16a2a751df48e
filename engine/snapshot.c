/* floor 2.5 - snapshot: saves a text in mid-sentence to a file and continues it from there.
 *
 * snapshot_head lists the numbers at the start of the file, and pf_attention_visit those of the
 * state, for writing and reading alike: what is read is what was written. */
#include "snapshot.h"

#include "attention.h"
#include "checksum.h"
#include "fingerprint.h"
#include "memory.h"
#include "session_state.h"

#include <string.h>

static const char magic[8] = {'P', 'F', 'S', 'T', 'A', 'T', 'E', '\n'};
enum { VERSION = 2, CHECKED = 1 << 16 }; /* CHECKED: bytes per call of pf_checksum */

/* No text is longer. A hostile file may say so, and sums of its positions could then overflow. */
static const uint64_t MAX_POSITION = UINT64_C(1) << 40;

/* The start of the file, byte for byte. There is no padding, which _Static_assert checks. */
typedef struct snapshot_head {
    char magic[8];
    uint32_t version, n_recent;
    uint64_t file_bytes, fingerprint;
    uint32_t kind, features, map, projection, redraw, window, sinks, forget;
    uint64_t attention_seed;
    float epsilon;
    uint32_t uncalibrated;
    uint32_t kv, has_rng, has_spare, has_logits;
    uint64_t rng[4];
    double spare_normal;
    uint64_t position, n_pending;
    unsigned char note[PF_NOTE_BYTES];
} snapshot_head;

_Static_assert(sizeof(snapshot_head) == 8 + 8 + 16 + 32 + 8 + 8 + 16 + 32 + 8 + 16 + PF_NOTE_BYTES,
               "the head of a snapshot must have no padding");
_Static_assert(sizeof(pf_attention_options) == 56,
               "a new attention option belongs in snapshot_head and same_attention too");

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "snapshots, like GGUF, are little-endian and are read without conversion"
#endif

/* States with longrope's short and long factors do not go together. */
static uint64_t fingerprint_of(const pf_model *model, bool is_long) {
    uint64_t sum = pf_model_fingerprint(model);
    return is_long ? pf_checksum(sum, "long", 4) : sum;
}

static void head_set_attention(snapshot_head *head, const pf_attention_options *options) {
    head->kind = (uint32_t)options->kind;
    head->features = options->features;
    head->map = (uint32_t)options->map;
    head->projection = (uint32_t)options->projection;
    head->redraw = options->redraw;
    head->window = options->window;
    head->sinks = options->sinks;
    head->forget = options->forget;
    head->uncalibrated = options->uncalibrated;
    head->kv = (uint32_t)options->kv;
    head->attention_seed = options->seed;
    head->epsilon = options->epsilon;
}

static pf_attention_options head_attention(const snapshot_head *head) {
    return (pf_attention_options){.kind = (pf_attention_kind)head->kind,
                                  .features = head->features,
                                  .map = (pf_map_kind)head->map,
                                  .projection = (pf_projection_kind)head->projection,
                                  .redraw = head->redraw,
                                  .window = head->window,
                                  .sinks = head->sinks,
                                  .forget = head->forget,
                                  .kv = (pf_kv_kind)head->kv,
                                  .epsilon = head->epsilon,
                                  .seed = head->attention_seed,
                                  .uncalibrated = head->uncalibrated != 0};
}

/* ---- writing ---- */

typedef struct sink {
    pf_writer *writer;
    uint64_t sum;
    size_t held;
    unsigned char buffer[CHECKED];
} sink;

static bool sink_flush(sink *to, pf_error *error) {
    to->sum = pf_checksum(to->sum, to->buffer, to->held);
    bool done = pf_writer_write(to->writer, to->buffer, to->held, error);
    to->held = 0;
    return done;
}

static bool sink_put(void *context, void *bytes, size_t size, pf_error *error) {
    sink *to = context;
    const unsigned char *from = bytes;
    while (size > 0) {
        size_t n = CHECKED - to->held < size ? CHECKED - to->held : size;
        memcpy(to->buffer + to->held, from, n);
        to->held += n;
        from += n;
        size -= n;
        if (to->held == CHECKED && !sink_flush(to, error)) return false;
    }
    return true;
}

static bool write_all(pf_session *s, sink *to, snapshot_head *head, const pf_continuation *rest,
                      pf_error *error) {
    size_t n_logits = rest->logits ? s->model->n_vocab : 0;
    return sink_put(to, head, sizeof *head, error) &&
           sink_put(to, rest->pending, rest->n_pending * sizeof *rest->pending, error) &&
           sink_put(to, rest->recent, rest->n_recent * sizeof *rest->recent, error) &&
           sink_put(to, rest->logits, n_logits * sizeof *rest->logits, error) &&
           pf_attention_visit(s->attention, s->position, sink_put, to, error) &&
           sink_flush(to, error) && pf_writer_write(to->writer, &to->sum, sizeof to->sum, error);
}

bool pf_session_save(pf_session *s, const pf_continuation *rest, const char *path,
                     pf_error *error) {
    static const pf_continuation nothing = {0};
    if (!rest) rest = &nothing;
    if (rest->n_recent > PF_RECENT_MOST)
        return pf_fail(error, "%zu recent ids are too many to save; give at most %d",
                       rest->n_recent, PF_RECENT_MOST);
    bool is_long = pf_model_is_long(s->model, s->options.context);
    snapshot_head head = {.version = rest->n_recent > 0 ? VERSION : 1,
                          .n_recent = (uint32_t)rest->n_recent,
                          .fingerprint = fingerprint_of(s->model, is_long),
                          .has_rng = rest->has_rng,
                          .has_spare = rest->rng.has_spare != 0,
                          .has_logits = rest->logits != NULL,
                          .spare_normal = rest->rng.spare_normal,
                          .position = s->position,
                          .n_pending = rest->n_pending};
    memcpy(head.magic, magic, sizeof magic);
    memcpy(head.rng, rest->rng.state, sizeof head.rng);
    memcpy(head.note, rest->note, sizeof head.note);
    head_set_attention(&head, &s->options.attention);
    head.file_bytes = sizeof head + rest->n_pending * sizeof *rest->pending +
                      rest->n_recent * sizeof *rest->recent +
                      (rest->logits ? s->model->n_vocab * sizeof *rest->logits : 0) +
                      pf_attention_saved_bytes(s->attention, s->position) + sizeof(uint64_t);
    sink *to = pf_calloc(1, sizeof *to, "a snapshot", error);
    if (to) to->writer = pf_writer_open(path, error);
    if (!to || !to->writer) {
        pf_free(to);
        return false;
    }
    bool done = write_all(s, to, &head, rest, error);
    if (done)
        done = pf_writer_commit(to->writer, error);
    else
        pf_writer_abort(to->writer);
    pf_free(to);
    return done;
}

/* ---- reading ---- */

static bool read_head(pf_slice bytes, snapshot_head *head, pf_error *error) {
    pf_slice part;
    *head = (snapshot_head){0};
    if (bytes.size < sizeof magic || memcmp(bytes.data, magic, sizeof magic) != 0)
        return pf_fail(error, "this is not a saved state: it does not begin with PFSTATE");
    if (!pf_slice_part(bytes, 0, sizeof *head, &part))
        return pf_fail(error, "the saved state is truncated; save it again");
    memcpy(head, part.data, sizeof *head);
    if (head->version < 1 || head->version > VERSION)
        return pf_fail(error,
                       "the saved state has version %u, and this program reads %d; save it again",
                       head->version, VERSION);
    if (head->file_bytes != bytes.size)
        return pf_fail(error, "the saved state should have %llu bytes but has %zu; save it again",
                       (unsigned long long)head->file_bytes, bytes.size);
    return true;
}

static bool check_sum(pf_slice bytes, pf_error *error) {
    uint64_t sum = 0, saved;
    size_t size = bytes.size - sizeof saved; /* not negative: read_head has checked the size */
    for (size_t done = 0; done < size; done += CHECKED)
        sum = pf_checksum(sum, bytes.data + done, size - done < CHECKED ? size - done : CHECKED);
    memcpy(&saved, bytes.data + size, sizeof saved);
    if (sum == saved) return true;
    return pf_fail(error, "the saved state is damaged (its checksum is wrong); save it again");
}

static bool same_attention(const pf_attention_options *a, const pf_attention_options *b) {
    return a->kind == b->kind && a->features == b->features && a->map == b->map &&
           a->projection == b->projection && a->redraw == b->redraw && a->window == b->window &&
           a->sinks == b->sinks && a->forget == b->forget && a->epsilon == b->epsilon &&
           a->seed == b->seed && a->uncalibrated == b->uncalibrated && a->kv == b->kv;
}

static bool check_model(const pf_session *s, const snapshot_head *head, pf_error *error) {
    const pf_model *model = s->model;
    bool is_long = pf_model_is_long(model, s->options.context);
    if (head->fingerprint == fingerprint_of(model, is_long)) return true;
    if (model->long_context > 0 && head->fingerprint == fingerprint_of(model, !is_long))
        return pf_fail(error,
                       "the state was saved with a --context of %s than %u tokens, for which this "
                       "model has other RoPE factors; give such a --context again",
                       is_long ? "no more" : "more", model->context);
    return pf_fail(error, "the state was saved with another model (its weights or "
                          "hyperparameters differ); load it with that model");
}

static bool check_head(const pf_session *s, const snapshot_head *head, pf_error *error) {
    if (!check_model(s, head, error)) return false;
    pf_attention_options saved = head_attention(head);
    if (!same_attention(&saved, &s->options.attention))
        return pf_fail(error,
                       "the state was saved with other attention options; give none, and the "
                       "saved ones apply");
    bool limited = pf_session_room(s) != SIZE_MAX;
    if (head->position > MAX_POSITION || (limited && head->position > s->options.context))
        return pf_fail(error,
                       "the saved text has %llu tokens, but the context is %zu; give a "
                       "larger --context",
                       (unsigned long long)head->position, s->options.context);
    return true;
}

/* Copies the next `size` bytes of the file. */
static bool take(void *context, void *bytes, size_t size, pf_error *error) {
    pf_slice *left = context, part;
    if (!pf_slice_part(*left, 0, size, &part) ||
        !pf_slice_part(*left, size, left->size - size, left))
        return pf_fail(error, "the saved state is too short; save it again");
    if (size > 0) memcpy(bytes, part.data, size);
    return true;
}

/* Reads n ids into a new array *ids. */
static bool take_ids(pf_slice *left, uint64_t n, size_t V, int32_t **ids, pf_error *error) {
    if (n > left->size / sizeof **ids)
        return pf_fail(error, "the saved state is too short; save it again");
    *ids = pf_calloc((size_t)n, sizeof **ids, "a saved state", error);
    if (!*ids || !take(left, *ids, (size_t)n * sizeof **ids, error)) return false;
    for (size_t i = 0; i < n; i++)
        if ((*ids)[i] < 0 || (size_t)(*ids)[i] >= V)
            return pf_fail(error, "the saved state has a token id outside the vocabulary");
    return true;
}

static bool read_rest(const pf_session *s, const snapshot_head *head, pf_slice *left,
                      pf_continuation *rest, pf_error *error) {
    rest->has_rng = head->has_rng != 0;
    memcpy(rest->rng.state, head->rng, sizeof head->rng);
    rest->rng.has_spare = head->has_spare != 0;
    rest->rng.spare_normal = head->spare_normal;
    memcpy(rest->note, head->note, sizeof rest->note);
    size_t V = s->model->n_vocab;
    uint32_t n_recent = head->version > 1 ? head->n_recent : 0;
    if (!take_ids(left, head->n_pending, V, &rest->pending, error) ||
        !take_ids(left, n_recent, V, &rest->recent, error))
        return false;
    rest->n_pending = (size_t)head->n_pending;
    rest->n_recent = n_recent;
    if (!head->has_logits) return true;
    rest->logits = pf_calloc(V, sizeof *rest->logits, "a saved state", error);
    return rest->logits && take(left, rest->logits, V * sizeof *rest->logits, error);
}

static bool load(pf_session *s, pf_slice bytes, pf_continuation *rest, pf_error *error) {
    snapshot_head head;
    pf_slice left;
    if (!read_head(bytes, &head, error) || !check_sum(bytes, error) ||
        !check_head(s, &head, error) ||
        !pf_slice_part(bytes, sizeof head, bytes.size - sizeof head - sizeof(uint64_t), &left) ||
        !read_rest(s, &head, &left, rest, error))
        return false;
    size_t position = (size_t)head.position;
    if (pf_attention_saved_bytes(s->attention, position) != left.size)
        return pf_fail(error,
                       "the saved state does not have the size that its attention needs; save "
                       "it again");
    if (!pf_attention_reserve(s->attention, position, error) ||
        !pf_attention_visit(s->attention, position, take, &left, error))
        return false;
    pf_attention_restored(s->attention, position);
    s->position = position;
    return true;
}

bool pf_session_load_bytes(pf_session *s, pf_slice bytes, pf_continuation *rest, pf_error *error) {
    *rest = (pf_continuation){0};
    pf_session_reset(s);
    if (load(s, bytes, rest, error)) return true;
    pf_continuation_free(rest);
    pf_session_reset(s);
    return false;
}

bool pf_session_load(pf_session *s, const char *path, pf_continuation *rest, pf_error *error) {
    pf_error reason = {""};
    pf_file file;
    *rest = (pf_continuation){0};
    pf_session_reset(s);
    if (!pf_file_open(path, &file, error)) return false;
    bool done = pf_session_load_bytes(s, file.bytes, rest, &reason);
    pf_file_close(&file);
    return done || pf_fail(error, "%s: %s", path, reason.message);
}

bool pf_snapshot_attention(const char *path, pf_attention_options *attention, pf_error *error) {
    pf_error reason = {""};
    snapshot_head head;
    pf_file file;
    if (!pf_file_open(path, &file, error)) return false;
    bool done = read_head(file.bytes, &head, &reason) && check_sum(file.bytes, &reason);
    pf_file_close(&file);
    if (!done) return pf_fail(error, "%s: %s", path, reason.message);
    *attention = head_attention(&head);
    if (head.kind > PF_ATTENTION_LOCAL || head.map >= PF_MAP_COUNT ||
        head.projection > PF_PROJECTION_IID || head.kv > PF_KV_Q8_0)
        return pf_fail(error, "%s: this program does not know the saved kind of attention", path);
    return true;
}

void pf_continuation_free(pf_continuation *rest) {
    pf_free(rest->pending);
    pf_free(rest->recent);
    pf_free(rest->logits);
    *rest = (pf_continuation){0};
}
