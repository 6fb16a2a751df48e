/* floor 1.0 - which attention: the choice a checkpoint records and a command line overrides. */
#include "attention_options.h"

#include <string.h>

static const char *const attention_names[] = {"softmax", "favor", "local"};
static const char *const map_names[PF_MAP_COUNT] = {
    "positive", "hyperbolic", "trig", "trig-offset", "favor++", "relu", "elu", "normalized",
};
static const char *const projection_names[] = {"orthogonal", "iid"};
static const char *const kv_names[] = {"f32", "f16", "q8_0"};

#define COUNT(names) ((int)(sizeof(names) / sizeof((names)[0])))

static int find(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}

pf_attention_options pf_attention_options_default(void) {
    return (pf_attention_options){.kind = PF_ATTENTION_SOFTMAX,
                                  .features = 64,
                                  .map = PF_MAP_POSITIVE,
                                  .projection = PF_PROJECTION_ORTHOGONAL,
                                  .redraw = PF_REDRAW_NEVER,
                                  .seed = 1};
}

const char *pf_attention_name(pf_attention_kind kind) { return attention_names[kind]; }
const char *pf_map_name(pf_map_kind map) { return map_names[map]; }
const char *pf_projection_name(pf_projection_kind projection) {
    return projection_names[projection];
}

const char *pf_kv_name(pf_kv_kind kv) { return kv_names[kv]; }

bool pf_attention_parse(const char *name, pf_attention_kind *kind) {
    int i = find(name, attention_names, COUNT(attention_names));
    if (i >= 0) *kind = (pf_attention_kind)i;
    return i >= 0;
}

bool pf_map_parse(const char *name, pf_map_kind *map) {
    int i = find(name, map_names, COUNT(map_names));
    if (i >= 0) *map = (pf_map_kind)i;
    return i >= 0;
}

bool pf_projection_parse(const char *name, pf_projection_kind *projection) {
    int i = find(name, projection_names, COUNT(projection_names));
    if (i >= 0) *projection = (pf_projection_kind)i;
    return i >= 0;
}

bool pf_kv_parse(const char *name, pf_kv_kind *kv) {
    int i = find(name, kv_names, COUNT(kv_names));
    if (i >= 0) *kv = (pf_kv_kind)i;
    return i >= 0;
}
