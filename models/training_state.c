/* floor 4.6 - training state: what an interrupted training run needs to go on, in a file. */
#include "training_state.h"

#include "buffer.h"
#include "formats.h"
#include "gguf_write.h"
#include "memory.h"

#include <math.h>
#include <string.h>

static const char ARCHITECTURE[] = "performer-training";

/* ---- curves ---- */

bool pf_training_curves_add(pf_training_curves *c, double loss, pf_error *error) {
    float *train =
        pf_grow(c->train, &c->train_capacity, c->n_train + 1, sizeof *train, "the curves", error);
    if (!train) return false;
    c->train = train;
    c->train[c->n_train++] = (float)loss;
    return true;
}

bool pf_training_curves_add_held(pf_training_curves *c, size_t step, double loss, double other,
                                 pf_error *error) {
    pf_training_held *held =
        pf_grow(c->held, &c->held_capacity, c->n_held + 1, sizeof *held, "the curves", error);
    if (!held) return false;
    c->held = held;
    c->held[c->n_held++] = (pf_training_held){step, (float)loss, (float)other};
    return true;
}

void pf_training_curves_free(pf_training_curves *c) {
    pf_free(c->train);
    pf_free(c->held);
    *c = (pf_training_curves){0};
}

/* ---- writing ---- */

static bool add_numbers(pf_checkpoint *out, const char *name, const float *values, size_t n,
                        pf_error *error) {
    uint64_t shape[] = {n};
    return n == 0 ||
           pf_checkpoint_add_tensor(out, name, PF_F32, 1, shape, values, n * sizeof *values, error);
}

/* [n_held, 3]: steps, loss, other; steps are exact in float up to 2^24. */
static bool add_held(pf_checkpoint *out, const pf_training_curves *c, pf_error *error) {
    size_t n = 3 * c->n_held;
    float *rows = pf_checkpoint_alloc(out, n * sizeof *rows, "the curves", error);
    for (size_t i = 0; rows && i < c->n_held; i++) {
        rows[3 * i] = (float)c->held[i].step;
        rows[3 * i + 1] = c->held[i].loss;
        rows[3 * i + 2] = c->held[i].other;
    }
    return rows && add_numbers(out, "held_losses", rows, n, error);
}

static bool fill_in(pf_checkpoint *out, const pf_train_state *s, const char *settings,
                    const pf_training_curves *c, pf_error *error) {
    return pf_checkpoint_set_text(out, "general.architecture", ARCHITECTURE, strlen(ARCHITECTURE),
                                  error) &&
           pf_checkpoint_set_text(out, "training.settings", settings, strlen(settings), error) &&
           pf_checkpoint_set_u64(out, "training.step", s->step, error) &&
           pf_checkpoint_set_array(out, "training.random", PF_META_U64, s->rng.state, 4, error) &&
           add_numbers(out, "weights", s->numbers.weights, s->numbers.n, error) &&
           add_numbers(out, "moment1", s->numbers.m, s->numbers.n, error) &&
           add_numbers(out, "moment2", s->numbers.v, s->numbers.n, error) &&
           add_numbers(out, "train_losses", c->train, c->n_train, error) && add_held(out, c, error);
}

bool pf_training_state_write(const char *path, pf_trainer *trainer, const char *settings,
                             const pf_training_curves *curves, pf_error *error) {
    pf_gguf_options as_it_is = {0};
    pf_checkpoint *out = pf_checkpoint_new(path, error);
    bool good = out && fill_in(out, pf_trainer_state(trainer), settings, curves, error) &&
                pf_gguf_write(out, path, &as_it_is, error);
    pf_checkpoint_free(out);
    return good;
}

/* ---- reading ---- */

/* The first line in which two settings differ; false if none does. */
static bool differ(pf_text saved, const char *now, pf_error *error) {
    const char *at = saved.bytes, *end = saved.bytes + saved.size;
    while (at < end || *now) {
        const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        size_t a = newline ? (size_t)(newline - at) : (size_t)(end - at), b = strcspn(now, "\n");
        if (a != b || memcmp(at, now, a) != 0) {
            pf_fail(error,
                    "it is of a run with other options: \"%.*s\" there, \"%.*s\" here; give the "
                    "same options, or begin anew without --resume",
                    (int)(a < 80 ? a : 80), at, (int)(b < 80 ? b : 80), now);
            return true;
        }
        at += a + (newline != NULL);
        now += b + (now[b] == '\n');
    }
    return false;
}

/* The tensor `name` with n numbers, or with any number of them if n is SIZE_MAX; NULL without one.
 */
static const float *numbers(const pf_checkpoint *c, const char *name, size_t n, size_t *found,
                            pf_error *error) {
    const pf_tensor *t = pf_checkpoint_find(c, name);
    *found = t ? (size_t)t->shape[0] : 0;
    bool fits = t && t->type == PF_F32 && t->n_dims == 1 && (n == SIZE_MAX || *found == n);
    if (fits) return t->data;
    if (n != SIZE_MAX || t)
        pf_fail(error, "its tensor %s is missing or of another size; the file is damaged", name);
    return NULL;
}

static bool read_numbers(const pf_checkpoint *c, pf_train_state *s, pf_error *error) {
    const char *names[] = {"weights", "moment1", "moment2"};
    float *to[] = {s->numbers.weights, s->numbers.m, s->numbers.v};
    for (size_t i = 0; i < 3; i++) {
        size_t found;
        const float *from = numbers(c, names[i], s->numbers.n, &found, error);
        if (!from) return false;
        for (size_t j = 0; j < found; j++)
            if (!isfinite(from[j]))
                return pf_fail(error,
                               "its tensor %s has a number that is not finite; the file is "
                               "damaged",
                               names[i]);
        memcpy(to[i], from, found * sizeof *from);
    }
    return true;
}

static bool read_curves(const pf_checkpoint *c, size_t step, pf_training_curves *curves,
                        pf_error *error) {
    size_t n_train, n_held;
    const float *train = numbers(c, "train_losses", SIZE_MAX, &n_train, error);
    const float *held = numbers(c, "held_losses", SIZE_MAX, &n_held, error);
    if (n_train != step || n_held % 3 != 0 || (n_train > 0 && !train) || (n_held > 0 && !held))
        return pf_fail(error, "its curves do not fit its steps; the file is damaged");
    for (size_t i = 0; i < n_train; i++)
        if (!pf_training_curves_add(curves, (double)train[i], error)) return false;
    for (size_t i = 0; i < n_held; i += 3) {
        if (!(held[i] >= 0 && held[i] <= (float)step))
            return pf_fail(error, "its curves do not fit its steps; the file is damaged");
        if (!pf_training_curves_add_held(curves, (size_t)held[i], (double)held[i + 1],
                                         (double)held[i + 2], error))
            return false;
    }
    return true;
}

static bool read_state(const pf_checkpoint *c, pf_train_state *s, const char *settings,
                       pf_training_curves *curves, pf_error *error) {
    pf_text family = {NULL, 0}, saved = {NULL, 0};
    const void *random = NULL;
    size_t n_random = 0;
    uint64_t step = 0;
    if (!pf_checkpoint_get_text(c, "general.architecture", &family, error) ||
        !pf_checkpoint_get_text(c, "training.settings", &saved, error) ||
        !pf_checkpoint_get_u64(c, "training.step", &step, error) ||
        !pf_checkpoint_get_array(c, "training.random", PF_META_U64, &random, &n_random, error))
        return false;
    if (family.size != strlen(ARCHITECTURE) || !saved.bytes || n_random != 4 ||
        memcmp(family.bytes, ARCHITECTURE, family.size) != 0)
        return pf_fail(error, "it is not the state of a training run, which an interrupted "
                              "`performer train` leaves beside its output");
    if (differ(saved, settings, error)) return false;
    memcpy(s->rng.state, random, sizeof s->rng.state);
    s->step = (size_t)step;
    return read_numbers(c, s, error) && read_curves(c, s->step, curves, error);
}

bool pf_training_state_read(const char *path, pf_trainer *trainer, const char *settings,
                            pf_training_curves *curves, pf_error *error) {
    pf_checkpoint *c = pf_checkpoint_open(path, error);
    if (!c) return false;
    pf_error reason = {""};
    bool good = read_state(c, pf_trainer_state(trainer), settings, curves, &reason);
    if (good)
        pf_trainer_resumed(trainer);
    else
        pf_fail(error, "%.200s: %s", path, reason.message);
    pf_checkpoint_free(c);
    return good;
}
