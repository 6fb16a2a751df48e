/* floor 2.6 - answer probe: what a model still answers if some heads see only a window.
 *
 * A recall text asks at its end for something said long before. All its rows are computed once,
 * exactly, and their keys and values kept. A probe then computes the rows from `question` on again,
 * with some KV heads limited to sinks and a window, and measures the loss of the answer. With
 * `question` at the start of the text this is what a session with such windows says; with
 * `question` near the end a probe is fast, but limits only what those last rows read. Layers below
 * the first that differs from the settled windows are not computed again.
 *
 * Sliding layers keep their own windows, whatever the windows of a probe say.
 */
#ifndef PF_ANSWER_PROBE_H
#define PF_ANSWER_PROBE_H

#include "exact_targets.h"

/* A text, its question and its answer: ids [n], of which [question, n) are computed in every probe,
 * and [answer, n) is what must be predicted; 0 < question <= answer < n. Borrowed. */
typedef struct pf_recall_text {
    const int32_t *ids;
    size_t n, question, answer;
} pf_recall_text;

typedef struct pf_answer_probe pf_answer_probe;

/* Computes the texts exactly. Takes 2 n_kv_heads D floats per token and layer. NULL with a message
 * if memory runs out or a text does not fit the model. */
pf_answer_probe *pf_answer_probe_new(const pf_model *model, const pf_recall_text *texts,
                                     size_t n_texts, size_t sinks, int n_threads, pf_error *error);
void pf_answer_probe_free(pf_answer_probe *probe); /* NULL is allowed */

/* Keeps only texts that the model can answer, at `most` nats per token or fewer, and only with its
 * memory: under these windows the answer costs at least `least` nats per token more. Returns how
 * many are left; if none are, the losses below are 0. */
size_t pf_answer_probe_select(pf_answer_probe *probe, const uint32_t *windows, double most,
                              double least);

bool pf_answer_probe_kept(const pf_answer_probe *probe, size_t text);

/* The mean over the texts kept of the answer's loss per token, in nats, if KV head i sees sinks and
 * the last windows[i] tokens, or everything for PF_WINDOW_ALL. windows [n_layers, n_kv_heads]. */
double pf_answer_probe_loss(pf_answer_probe *probe, const uint32_t *windows);
/* The same, and settles these windows: probes are fast if they differ from them in upper layers
 * only. At first no head is limited. */
double pf_answer_probe_settle(pf_answer_probe *probe, const uint32_t *windows);
/* The same without limits. */
double pf_answer_probe_exact_loss(const pf_answer_probe *probe);

#endif
