/* floor 6.1 - train step: what the tests of training in float share. */
#ifndef PF_TRAIN_STEP_H
#define PF_TRAIN_STEP_H

#include "testing.h"

#include "trainer.h"

static inline pf_trainer *new_trainer(const pf_model *model, const pf_train_options *options,
                                      const int32_t *ids, size_t n) {
    pf_error error = {""};
    pf_trainer *t = pf_trainer_new(model, options, ids, n, &error);
    if (!t) fail_msg("%s", error.message);
    return t;
}

/* A step that must succeed; its loss. */
static inline double step(pf_trainer *t) {
    pf_error error = {""};
    pf_train_report report;
    if (!pf_trainer_step(t, &report, &error)) fail_msg("%s", error.message);
    return report.loss;
}

#endif
