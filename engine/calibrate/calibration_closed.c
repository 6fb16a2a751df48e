/* floor 2.10 - calibration: the closed form of all KV heads of a layer. */
#include "calibration_state.h"

#include "calibration_result.h"
#include "memory.h"
#include "threads.h"

#include <math.h>
#include <stdatomic.h>

typedef struct closed_job {
    const pf_calibration_run *r;
    pf_closed_form *forms; /* [KV] */
    float *q, *k;          /* [threads, rows G, D], [threads, rows, D] */
    atomic_bool failed;
    pf_error why; /* the first failure */
} closed_job;

static void closed_share(void *context, pf_member me) {
    closed_job *job = context;
    const pf_exact_targets *e = job->r->exact;
    size_t begin, end, rows = e->w->n_rows, D = e->D, G = e->G;
    float scale = sqrtf(job->r->model->attention_scale);
    float *q = job->q + (size_t)me.index * rows * G * D, *k = job->k + (size_t)me.index * rows * D;
    pf_share(me, e->KV, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        for (size_t t = 0; t < e->w->n_texts; t++) {
            size_t first = e->w->first[t];
            for (size_t g = 0; g < G; g++)
                pf_exact_targets_queries(e, t, i * G + g, true, scale, q + (g * rows + first) * D);
            pf_exact_targets_keys(e, t, i, true, scale, k + first * D);
        }
        pf_error why;
        if (!pf_closed_form_fit(q, rows * G, k, rows, D, &job->forms[i], &why) &&
            !atomic_exchange(&job->failed, true))
            job->why = why;
    }
}

/* From q and k after RoPE, because that is what the estimators of softmax read. */
bool pf_calibration_closed_form(pf_calibration_run *r, size_t layer, pf_error *error) {
    size_t KV = r->model->n_kv_heads, D = r->model->head_dim, rows = r->w->n_rows;
    size_t threads = (size_t)r->options->steps.n_threads, floats = rows * (r->exact->G + 1) * D;
    pf_favor_weights *favor = &r->result->layers[layer].favor;
    float *at = pf_calibration_alloc(r->result, KV * (3 * D + 2 * D * D), error);
    float *scratch = pf_calloc(threads, floats * sizeof *scratch, "a calibration", error);
    pf_closed_form *forms = pf_calloc(KV, sizeof *forms, "a calibration", error);
    bool good = at && scratch && forms;
    if (good) {
        favor->q_center = at;
        favor->k_center = at + KV * D;
        favor->proposal = at + 2 * KV * D;
        favor->q_map = at + 3 * KV * D;
        favor->k_map = favor->q_map + KV * D * D;
        for (size_t k = 0; k < KV; k++)
            forms[k] = (pf_closed_form){.q_center = at + k * D,
                                        .k_center = at + (KV + k) * D,
                                        .proposal = at + (2 * KV + k) * D,
                                        .q_map = at + 3 * KV * D + k * D * D,
                                        .k_map = at + (3 + D) * KV * D + k * D * D};
        closed_job job = {
            .r = r, .forms = forms, .q = scratch, .k = scratch + threads * rows * r->exact->G * D};
        pf_parallel(r->options->steps.n_threads, closed_share, &job);
        if (job.failed) good = pf_fail(error, "layer %zu: %s", layer, job.why.message);
        for (size_t k = 0; k < KV; k++) {
            pf_calibrated_head *head = &r->result->heads[layer * KV + k];
            head->Z_before = forms[k].Z_before;
            head->Z_after = forms[k].Z_after;
            head->variance_before = forms[k].variance_before;
            head->variance_after = forms[k].variance_after;
        }
    }
    pf_free(scratch);
    pf_free(forms);
    return good;
}
