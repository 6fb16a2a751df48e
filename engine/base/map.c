/* floor 0.2 - map: a hash table from bytes to numbers.
 *
 * stb_ds hashes keys of a fixed size, so the key it sees is a 62-bit hash of the bytes; the entry
 * points to the bytes themselves. If two keys hash alike, the second is stored under the next
 * number that is not taken: a lookup goes from number to number until the bytes agree or a number
 * is not in the table. Nothing is ever removed, so such a chain has no gaps.
 *
 * stb_ds does not check its allocations. When one fails we leave stb_ds by longjmp, at points where
 * the map is still as it was (try_put).
 */
#define _DEFAULT_SOURCE /* getentropy */
#include "map.h"

#include "memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <string.h>
#include <unistd.h>

static void *realloc_or_jump(void *block, size_t bytes);

#define STBDS_REALLOC(context, block, bytes) realloc_or_jump(block, bytes)
#define STBDS_FREE(context, block) pf_free(block)
#define STBDS_NO_SHORT_NAMES
#define STB_DS_IMPLEMENTATION
/* so that a program with an stb_ds of its own can link libperformer.a */
#define stbds_rand_seed pf_stbds_rand_seed
#define stbds_hash_bytes pf_stbds_hash_bytes
#define stbds_hash_string pf_stbds_hash_string
#define stbds_stralloc pf_stbds_stralloc
#define stbds_strreset pf_stbds_strreset
#define stbds_arrgrowf pf_stbds_arrgrowf
#define stbds_arrfreef pf_stbds_arrfreef
#define stbds_hmfree_func pf_stbds_hmfree_func
#define stbds_hmget_key pf_stbds_hmget_key
#define stbds_hmget_key_ts pf_stbds_hmget_key_ts
#define stbds_hmput_default pf_stbds_hmput_default
#define stbds_hmput_key pf_stbds_hmput_key
#define stbds_hmdel_key pf_stbds_hmdel_key
#define stbds_shmode_func pf_stbds_shmode_func
#include <stb_ds.h>

typedef struct pf_map_entry {
    uint64_t key; /* the hash of the bytes, or a number soon after it */
    const char *bytes;
    size_t size, value;
} pf_map_entry;

/* stb_ds shifts bytes 3 and 7 of an 8-byte key into the sign bit of an int: undefined behaviour,
 * and half of the key is lost. Our keys have both of those bits clear. */
#define KEY_BITS 0x7FFFFFFF7FFFFFFFull

/* ---- hash ---- */

__extension__ typedef unsigned __int128 wide;

/* Both halves of the 128-bit product in one number. */
static uint64_t fold(uint64_t a, uint64_t b) {
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to 8 bytes as one number. Different bytes of the same length give different numbers. */
static uint64_t load(const char *bytes, size_t n) {
    uint64_t word = 0;
    uint32_t first, last;
    if (n == 8) {
        memcpy(&word, bytes, 8);
    } else if (n >= 4) {
        memcpy(&first, bytes, 4);
        memcpy(&last, bytes + n - 4, 4);
        word = (uint64_t)first << 32 | last;
    } else if (n > 0) {
        word = (uint64_t)(uint8_t)bytes[0] << 16 | (uint64_t)(uint8_t)bytes[n / 2] << 8 |
               (uint8_t)bytes[n - 1];
    }
    return word;
}

/* Which keys collide depends on the secret, so nobody can make a file whose keys do. The length is
 * in the last multiplier: in the sum it could cancel against a byte. */
static uint64_t hash_bytes(const uint64_t secret[2], const char *bytes, size_t n) {
    uint64_t h = secret[0], last_factor = secret[1] + n * 0x9E3779B97F4A7C15ull;
    for (; n > 8; n -= 8, bytes += 8) h = fold(h ^ load(bytes, 8), secret[1]);
    return fold(h ^ load(bytes, n), last_factor);
}

static void draw_secret(pf_map *map) {
    if (getentropy(map->secret, sizeof map->secret) == 0) return;
    map->secret[0] = (uintptr_t)map; /* the system gives no random numbers */
    map->secret[1] = (uintptr_t)map->entries;
}

/* ---- stb_ds, its allocations checked ---- */

typedef struct insertion {
    jmp_buf failed;
    pf_error *error;
} insertion;

static _Thread_local insertion *running; /* set while stb_ds may allocate */

static void *realloc_or_jump(void *block, size_t bytes) {
    void *grown = pf_realloc(block, bytes, 1, "a map", running->error);
    if (!grown) longjmp(running->failed, 1);
    return grown;
}

/* Each new table reads and writes stb_ds's global seed. */
static pthread_mutex_t seed_lock = PTHREAD_MUTEX_INITIALIZER;

/* Adds an entry for the key if there is none, and sets stb_ds's `temp` to its index. We make room
 * in the array first, so that stbds_hmput_key allocates only a larger table, before it changes
 * anything. There are no local variables that longjmp could spoil. */
static bool try_put(pf_map *map, uint64_t *key, insertion *here) {
    enum { BYTES = sizeof *map->entries };
    if (setjmp(here->failed) != 0) return false;
    if (!map->entries) map->entries = stbds_hmput_default(NULL, BYTES);
    /* stb_ds keeps a default entry in front of the others */
    map->entries = (pf_map_entry *)stbds_arrgrowf(map->entries - 1, BYTES, 1, 0) + 1;
    map->entries = stbds_hmput_key(map->entries, BYTES, key, sizeof *key, STBDS_HM_BINARY);
    return true;
}

/* The index of the key's entry, added if it is not there; -1 if memory runs out. */
static ptrdiff_t put_key(pf_map *map, uint64_t key, pf_error *error) {
    insertion here = {.error = error};
    bool is_first = !map->entries || !stbds_header(map->entries - 1)->hash_table;
    running = &here;
    if (is_first) pthread_mutex_lock(&seed_lock);
    bool done = try_put(map, &key, &here);
    if (is_first) pthread_mutex_unlock(&seed_lock);
    running = NULL;
    return done ? stbds_temp(map->entries - 1) : -1;
}

/* ---- the map ---- */

static uint64_t first_key(const pf_map *map, const char *bytes, size_t n) {
    return hash_bytes(map->secret, bytes, n) & (map->hash_mask ? map->hash_mask : KEY_BITS);
}

static uint64_t next_key(uint64_t key) { return (key + 1) & KEY_BITS; }

static bool is_entry_of(const pf_map_entry *entry, const char *bytes, size_t n) {
    return entry->size == n && (n == 0 || memcmp(entry->bytes, bytes, n) == 0);
}

bool pf_map_put(pf_map *map, const char *key, size_t n, size_t value, pf_error *error) {
    if (!map->entries) draw_secret(map);
    for (uint64_t number = first_key(map, key, n);; number = next_key(number)) {
        size_t count = pf_map_count(map);
        ptrdiff_t index = put_key(map, number, error);
        if (index < 0) return false;
        pf_map_entry *entry = &map->entries[index];
        if ((size_t)index == count)
            *entry = (pf_map_entry){.key = number, .bytes = key, .size = n, .value = value};
        if (is_entry_of(entry, key, n)) return true;
    }
}

bool pf_map_get(const pf_map *map, const char *key, size_t n, size_t *value) {
    if (!map->entries) return false;
    for (uint64_t number = first_key(map, key, n);; number = next_key(number)) {
        ptrdiff_t index;
        stbds_hmget_key_ts(map->entries, sizeof *map->entries, &number, sizeof number, &index,
                           STBDS_HM_BINARY);
        if (index < 0) return false;
        const pf_map_entry *entry = &map->entries[index];
        if (!is_entry_of(entry, key, n)) continue;
        *value = entry->value;
        return true;
    }
}

size_t pf_map_count(const pf_map *map) { return stbds_hmlenu(map->entries); }

void pf_map_free(pf_map *map) {
    if (map->entries) stbds_hmfree_func(map->entries - 1, sizeof *map->entries);
    *map = (pf_map){0};
}
