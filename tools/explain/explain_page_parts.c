/* floor 5.7 - explain page parts: tokens and maps, which all sections of the page show. */
#include "explain_page.h"

#include "tokenizer.h"
#include "utf8.h"

#include <math.h>
#include <string.h>

enum { ABOVE = 56, BELOW = 8 }; /* colours of weights: 0 and more; less than 0 */

static const uint8_t blue[3] = {52, 131, 226}, orange[3] = {217, 84, 30};

static void colour(png_palette *palette, size_t i, const uint8_t rgb[3], double strength) {
    memcpy(palette->rgba[i], rgb, 3);
    palette->rgba[i][3] = (uint8_t)lround(255 * strength);
}

void explain_page_palettes(explain_page *e) {
    e->weights.n = ABOVE + BELOW;
    for (size_t i = 0; i < e->weights.n; i++) {
        if (i < ABOVE)
            colour(&e->weights, i, blue, (double)i / (ABOVE - 1));
        else
            colour(&e->weights, i, orange, (double)(i - ABOVE + 1) / BELOW);
    }
    e->signs.n = 256;
    for (size_t i = 0; i < e->signs.n; i++) {
        double sign = ((double)i - 128) / 127;
        colour(&e->signs, i, sign < 0 ? orange : blue, fmin(fabs(sign), 1));
    }
}

bool explain_page_shows(const explain_page *e, uint32_t layer) {
    return layer % e->step == 0 || layer == e->run->settings.layer;
}

/* White space must be seen: a token of one or more spaces alone, too. */
static const char *sign_of(char c, bool blank) {
    switch (c) {
    case '\n':
        return "\xE2\x86\xB5"; /* U+21B5 */
    case '\t':
        return "\xE2\x87\xA5"; /* U+21E5 */
    case ' ':
        return blank ? "\xE2\x90\xA3" : NULL; /* U+2423 */
    default:
        return NULL;
    }
}

void explain_page_word(html *p, const explain_run *run, int32_t id, size_t most) {
    size_t n = 0;
    const pf_tokenizer *tokenizer = run->loaded->tokenizer;
    const char *bytes = tokenizer ? pf_tokenizer_bytes(tokenizer, id, true, &n) : NULL;
    if (!bytes || n == 0) {
        html_add(p, "#%d", (int)id);
        return;
    }
    bool blank = true;
    for (size_t i = 0; i < n; i++) blank = blank && bytes[i] == ' ';
    for (size_t i = 0; i < n;) {
        size_t size = pf_utf8_next(bytes + i, n - i).size;
        if (i + size > most) return;
        const char *sign = sign_of(bytes[i], blank);
        if (sign)
            html_string(p, sign);
        else
            html_text(p, bytes + i, size);
        i += size;
    }
}

void explain_page_token(html *p, const explain_page *e, size_t t, size_t most) {
    explain_page_word(p, e->run, e->run->ids[t], most);
}

static uint8_t colour_of(float weight) {
    float size = sqrtf(fabsf(weight) < 1 ? fabsf(weight) : 1);
    long level = lroundf(size * (weight < 0 ? BELOW : ABOVE - 1));
    return (uint8_t)(weight < 0 && level > 0 ? ABOVE - 1 + level : level);
}

void explain_page_map(html *p, explain_page *e, const float *weights) {
    size_t T = e->run->T;
    for (size_t i = 0; i < T * T; i++) e->pixels[i] = colour_of(weights[i]);
    png_data_address(p, e->pixels, T, T, &e->weights);
}
