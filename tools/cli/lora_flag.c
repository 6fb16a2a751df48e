/* floor 5.2 - LoRA flag: --lora FILE[:SCALE], as often as it is given. */
#include "lora_flag.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

bool lora_split(const char *text, char *path, float *scale, pf_error *error) {
    const char *colon = access(text, F_OK) == 0 ? NULL : strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    double number = 1;
    if (colon && (!parse_number(colon + 1, &number) || !isfinite((float)number)))
        return pf_fail(error, "--lora %.200s is not there, and \"%.40s\" is no number for a scale",
                       text, colon + 1);
    *scale = (float)number;
    if (n == 0) return pf_fail(error, "--lora needs the name of a file or folder");
    if (n >= LORA_PATH_SIZE) return pf_fail(error, "the path after --lora is too long");
    memcpy(path, text, n);
    path[n] = '\0';
    return true;
}

bool lora_files_read(const options *parsed, lora_files *files, pf_error *error) {
    const char *texts[OPTIONS_MAX_REPEATS];
    files->n = options_repeats(parsed, FLAG_LORA, texts);
    if (files->n > LORA_MOST)
        return pf_fail(error, "--lora may be given at most %d times", LORA_MOST);
    for (size_t i = 0; i < files->n; i++) {
        files->sources[i].path = files->paths[i];
        if (!lora_split(texts[i], files->paths[i], &files->sources[i].scale, error)) return false;
    }
    return true;
}
