/* floor 4.0 - check finite: finds weights that are NaN or infinite.
 *
 * The weights are cut into pieces. Each thread takes the next piece whenever it is free, so a
 * thread that starts late delays nobody. (Asking for a piece's pages with MADV_POPULATE_READ first
 * was slower than the page faults of reading it: 36 ms instead of 25 ms for 440 MB.) */
#include "check_finite.h"

#include "finite.h"
#include "threads.h"

#include <stdatomic.h>

enum { PIECE_BYTES = 2 << 20 };

typedef struct {
    const pf_checkpoint *checkpoint;
    bool (*meanwhile)(void *context, pf_error *error);
    void *context;
    pf_error *error; /* of meanwhile */
    bool meanwhile_failed;
    atomic_size_t next_piece; /* counted through all tensors */
    atomic_size_t first_bad;  /* index of a tensor; the number of tensors if all are finite */
} search;

/* A tensor cut into pieces of whole rows. */
typedef struct {
    const pf_tensor *tensor;
    size_t cols, row_bytes, rows, piece_rows, n_pieces;
} cut;

static cut cut_tensor(const pf_tensor *tensor) {
    cut c = {.tensor = tensor, .cols = (size_t)tensor->shape[0], .rows = 1};
    if (!tensor->data) return c; /* made on demand: the model does not point into it */
    c.row_bytes = pf_row_bytes(tensor->type, c.cols);
    for (uint32_t d = 1; d < tensor->n_dims; d++) c.rows *= (size_t)tensor->shape[d];
    c.piece_rows = c.row_bytes < PIECE_BYTES ? PIECE_BYTES / c.row_bytes : 1;
    c.n_pieces = (c.rows + c.piece_rows - 1) / c.piece_rows;
    return c;
}

static bool piece_is_finite(const cut *c, size_t piece) {
    size_t begin = piece * c->piece_rows, left = c->rows - begin;
    size_t count = left < c->piece_rows ? left : c->piece_rows;
    const uint8_t *row = (const uint8_t *)c->tensor->data + begin * c->row_bytes;
    for (; count > 0; count--, row += c->row_bytes)
        if (!pf_row_is_finite(c->tensor->type, row, c->cols)) return false;
    return true;
}

static void note_bad(search *s, size_t index) {
    size_t known = atomic_load(&s->first_bad);
    while (index < known && !atomic_compare_exchange_weak(&s->first_bad, &known, index)) {
    }
}

static void search_share(void *context, pf_member member) {
    search *s = context;
    if (s->meanwhile && member.index == 0)
        s->meanwhile_failed = !s->meanwhile(s->context, s->error);
    size_t piece = atomic_fetch_add(&s->next_piece, 1);
    size_t first = 0; /* number of the tensor's first piece */
    for (size_t i = 0; i < pf_checkpoint_n_tensors(s->checkpoint); i++) {
        cut c = cut_tensor(pf_checkpoint_tensor(s->checkpoint, i));
        for (; piece < first + c.n_pieces; piece = atomic_fetch_add(&s->next_piece, 1))
            if (!piece_is_finite(&c, piece - first)) note_bad(s, i);
        first += c.n_pieces;
    }
}

bool pf_check_finite(const pf_checkpoint *checkpoint, int n_threads,
                     bool (*meanwhile)(void *context, pf_error *error), void *context,
                     pf_error *error) {
    size_t n = pf_checkpoint_n_tensors(checkpoint);
    search s = {
        .checkpoint = checkpoint, .meanwhile = meanwhile, .context = context, .error = error};
    atomic_init(&s.next_piece, 0);
    atomic_init(&s.first_bad, n);
    pf_team *team = pf_team_new(n_threads, error); /* cheaper than the first region of OpenMP */
    if (!team) return false;
    pf_team_run(team, search_share, &s);
    pf_team_free(team);
    if (s.meanwhile_failed) return false;
    size_t bad = atomic_load(&s.first_bad);
    if (bad == n) return true;
    return pf_fail(error,
                   "%s: the tensor %s has a value that is NaN or infinite; the file is damaged, or "
                   "was converted to a type with too small a range: download or convert it again",
                   pf_checkpoint_path(checkpoint), pf_checkpoint_tensor(checkpoint, bad)->name);
}
