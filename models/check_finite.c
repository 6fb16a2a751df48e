/* floor 4.5 - numbers: finds weights that are none.
 *
 * The weights are cut into pieces, of which each member takes the next whenever it is free, so that one of
 * them can come later. (Asking for a piece's pages with MADV_POPULATE_READ first was slower than the faults
 * of reading it: 36 instead of 25 ms for 440 MB.) */
#include "check_finite.h"

#include "finite.h"
#include "threads.h"

#include <stdatomic.h>

enum { PIECE_BYTES = 2 << 20 };

typedef struct {
    pf_loaded *loaded;
    atomic_size_t next_piece; /* of all tensors' pieces in order */
    atomic_size_t first_bad;  /* index of a tensor; the number of tensors if there is none */
    bool with_tokenizer, has_tokenizer;
    pf_error *error; /* of the tokenizer */
} search;

/* A tensor as rows, so many of them to a piece. */
typedef struct {
    const pf_tensor *tensor;
    size_t cols, row_bytes, rows, piece_rows, n_pieces;
} cut;

static cut cut_tensor(const pf_tensor *tensor) {
    cut c = {.tensor = tensor, .cols = (size_t)tensor->shape[0], .rows = 1};
    if (!tensor->data) return c; /* made when asked for: nothing in the model points to it */
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
    if (s->with_tokenizer && member.index == 0)
        s->has_tokenizer = pf_loaded_read_tokenizer(s->loaded, s->error);
    size_t piece = atomic_fetch_add(&s->next_piece, 1), first = 0; /* of this tensor's pieces */
    for (size_t i = 0; i < pf_checkpoint_n_tensors(s->loaded->checkpoint); i++) {
        cut c = cut_tensor(pf_checkpoint_tensor(s->loaded->checkpoint, i));
        for (; piece < first + c.n_pieces; piece = atomic_fetch_add(&s->next_piece, 1))
            if (!piece_is_finite(&c, piece - first)) note_bad(s, i);
        first += c.n_pieces;
    }
}

static bool run_search(search *s, int n_threads, pf_error *error) {
    const pf_checkpoint *checkpoint = s->loaded->checkpoint;
    size_t n = pf_checkpoint_n_tensors(checkpoint);
    atomic_init(&s->next_piece, 0);
    atomic_init(&s->first_bad, n);
    pf_team *team =
        pf_team_new(n_threads, error); /* for once: cheaper than OpenMP's first region */
    if (!team) return false;
    pf_team_run(team, search_share, s);
    pf_team_free(team);
    if (s->with_tokenizer && !s->has_tokenizer) return false;
    size_t bad = atomic_load(&s->first_bad);
    if (bad == n) return true;
    return pf_fail(error,
                   "%s: the tensor %s has a value that is no number (NaN) or infinite; the file is "
                   "damaged, or was converted to a type too small for it: get it again",
                   pf_checkpoint_path(checkpoint), pf_checkpoint_tensor(checkpoint, bad)->name);
}

bool pf_loaded_check_numbers(const pf_loaded *loaded, int n_threads, pf_error *error) {
    pf_loaded same = *loaded;
    search s = {.loaded = &same};
    return run_search(&s, n_threads, error);
}

bool pf_loaded_open_checked(const char *path, int n_threads, pf_loaded *loaded, pf_error *error) {
    if (!pf_loaded_open_model(path, loaded, error)) return false;
    search s = {.loaded = loaded, .with_tokenizer = true, .error = error};
    if (run_search(&s, n_threads, error)) return true;
    pf_loaded_close(loaded);
    return false;
}
