/* floor 5.5 - speed: how fast a text was written, in terms of a machine's limit. */
#include "speed.h"

#include "flop_count.h"
#include "roofline.h"

#include <stdio.h>

double speed_tokens_per_second(const text_speed *s) {
    return s->decoded && s->decode_seconds > 0 ? (double)s->decoded / s->decode_seconds : 0;
}

double speed_bytes_per_second(const text_speed *s, const pf_model *model,
                              const pf_attention_options *attention) {
    size_t middle = s->position + s->decoded / 2; /* the state grows by the same for each token */
    return speed_tokens_per_second(s) * flop_count_token(model, attention, middle, false).bytes;
}

double speed_limit(int n_threads, pf_error *error) {
    enum { PASSES = 3 };
    double best = 0;
    roofline *l = roofline_new(n_threads, error);
    for (int i = 0; l && i < PASSES; i++) {
        double now = roofline_measure(l, ROOFLINE_READ);
        if (now > best) best = now;
    }
    roofline_free(l);
    return best;
}

const char *human_seconds(double seconds, char *text) {
    bool short_time = seconds < 1;
    snprintf(text, 16, short_time ? "%.0f ms" : "%.1f s", short_time ? 1000 * seconds : seconds);
    return text;
}

const char *speed_text(const text_speed *s, const pf_model *model,
                       const pf_attention_options *attention, double limit, char *text) {
    double bytes = speed_bytes_per_second(s, model, attention);
    char share[64] = "";
    text[0] = '\0';
    if (!s->decoded) return text;
    if (limit > 0)
        snprintf(share, sizeof share, " (%.0f %% of the %.1f GB/s this machine reads)",
                 100 * bytes / limit, limit / 1e9);
    snprintf(text, SPEED_TEXT, ", %.1f tokens/s, %.1f GB/s%s", speed_tokens_per_second(s),
             bytes / 1e9, share);
    return text;
}
