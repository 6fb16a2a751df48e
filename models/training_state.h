/* floor 4.6 - training state: what an interrupted training run needs to go on, in a file.
 *
 * A GGUF file of its own kind: weights and moments as in the trainer's memory, the random numbers,
 * the curves so far, and the settings as text, so that a run can be refused that would not go on as
 * the first one.
 */
#ifndef PF_TRAINING_STATE_H
#define PF_TRAINING_STATE_H

#include "trainer.h"

/* The curves of a run. Zero it first; free it with pf_training_curves_free. */
typedef struct pf_training_held {
    size_t step; /* measured after so many steps */
    float loss, other;
} pf_training_held;
typedef struct pf_training_curves {
    float *train; /* [n_train] loss of each step */
    size_t n_train, train_capacity;
    pf_training_held *held; /* [n_held] losses of what is held out */
    size_t n_held, held_capacity;
} pf_training_curves;

bool pf_training_curves_add(pf_training_curves *curves, double loss, pf_error *error);
/* other: the loss under the other attention, or NAN. */
bool pf_training_curves_add_held(pf_training_curves *curves, size_t step, double loss, double other,
                                 pf_error *error);
void pf_training_curves_free(pf_training_curves *curves);

/* Writes the whole file or none of it. settings: text that names all that decides the numbers, one
 * "name value" per line. */
bool pf_training_state_write(const char *path, pf_trainer *trainer, const char *settings,
                             const pf_training_curves *curves, pf_error *error);

/* Fills in the trainer's state and the curves. Refuses, naming the first that differs, a state of
 * other settings. Messages begin with the path. */
bool pf_training_state_read(const char *path, pf_trainer *trainer, const char *settings,
                            pf_training_curves *curves, pf_error *error);

#endif
