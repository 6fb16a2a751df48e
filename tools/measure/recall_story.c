/* floor 5.1 - recall story: plain sentences made by a seed, where no text is given. */
#include "recall_story.h"

#include "rng.h"

#include <string.h>

static const char *const who[] = {
    "the miller",  "a tall sailor", "the old queen", "my uncle",     "the young baker",
    "a grey cat",  "the teacher",   "her brother",   "the king",     "a small dog",
    "the farmer",  "the doctor",    "a blue bird",   "the gardener", "an honest thief",
    "the captain", "his daughter",  "the cook",      "a tired horse"};
static const char *const did[] = {"found",  "carried",   "painted",      "lost",      "sold",
                                  "hid",    "asked for", "broke",        "looked at", "remembered",
                                  "bought", "dropped",   "kept",         "washed",    "gave away",
                                  "cut",    "mended",    "talked about", "wanted"};
static const char *const what[] = {
    "a wooden box",  "the red lamp",   "three apples",   "a long letter",    "the silver cup",
    "an old map",    "the front door", "two chairs",     "a loaf of bread",  "the garden wall",
    "a heavy coat",  "the last boat",  "some milk",      "a broken clock",   "the green hat",
    "a bag of salt", "the big drum",   "a warm blanket", "the narrow bridge"};
static const char *const where[] = {
    "near the river",     "in the kitchen",   "behind the church", "on the hill",
    "under the table",    "at the market",    "in a dark forest",  "by the sea",
    "across the street",  "in the next room", "beside the fire",   "on the roof",
    "in the cold cellar", "at the old mill",  "between two trees", "far from home"};
static const char *const when[] = {
    "In the morning", "Before dinner",    "After the rain", "One day",        "That night",
    "Last winter",    "In the end",       "On Sunday",      "Without a word", "Very slowly",
    "At noon",        "Some years later", "Once again",     "By mistake"};

#define COUNT_OF(list) (sizeof(list) / sizeof(list)[0])

static const char *any(pf_rng *rng, const char *const *list, size_t n) {
    return list[(size_t)(pf_rng_uniform(rng) * (double)n)];
}
#define ANY(rng, list) any(rng, list, COUNT_OF(list))

/* Appends a word, with a capital letter if `first`, and what follows it. */
static bool put(pf_buffer *text, const char *words, bool first, const char *then, pf_error *error) {
    size_t at = text->n;
    if (!pf_buffer_put(text, words, strlen(words), error)) return false;
    if (first && text->bytes[at] >= 'a') text->bytes[at] = (char)(text->bytes[at] - 'a' + 'A');
    return pf_buffer_put(text, then, strlen(then), error);
}

bool recall_story_write(uint64_t seed, size_t n, pf_buffer *text, pf_error *error) {
    pf_rng rng;
    pf_rng_seed(&rng, seed, 0);
    size_t end = text->n + n;
    while (text->n < end) {
        bool timed = pf_rng_uniform(&rng) < 0.4, placed = pf_rng_uniform(&rng) < 0.6;
        if (timed && !put(text, ANY(&rng, when), true, ", ", error)) return false;
        if (!put(text, ANY(&rng, who), !timed, " ", error) ||
            !put(text, ANY(&rng, did), false, " ", error) ||
            !put(text, ANY(&rng, what), false, placed ? " " : ". ", error))
            return false;
        if (placed && !put(text, ANY(&rng, where), false, ". ", error)) return false;
    }
    return true;
}
