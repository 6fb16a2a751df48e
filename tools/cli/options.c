/* floor 5.1 - options: a command line, checked against the table of flags. */
#include "options.h"

#include "aliases.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool parse_count(const char *text, uint64_t *value) {
    if (!*text || text[strspn(text, "0123456789")]) return false;
    errno = 0;
    unsigned long long parsed = strtoull(text, NULL, 10);
    if (errno) return false;
    *value = parsed;
    return true;
}

bool parse_number(const char *text, double *value) {
    if (!*text || text[strspn(text, "0123456789.eE+-")]) return false;
    char *end;
    double parsed = strtod(text, &end);
    if (*end || end == text || !isfinite(parsed)) return false;
    *value = parsed;
    return true;
}

/* Optimal string alignment, on the first MAX characters. */
static size_t distance(const char *a, const char *b) {
    enum { MAX = 40 };
    size_t n = strlen(a) < MAX ? strlen(a) : MAX, m = strlen(b) < MAX ? strlen(b) : MAX;
    size_t d[MAX + 1][MAX + 1];
    for (size_t i = 0; i <= n; i++) d[i][0] = i;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

static size_t at_most(size_t n, size_t limit) { return n < limit ? n : limit; }

/* The one with the fewest changes, or n if all are too far: a third of the letters may differ. */
static size_t nearest_name(const char *text, const char *const *names, size_t n) {
    size_t best = n, least = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t changes = distance(text, names[i]),
               letters = at_most(strlen(text), strlen(names[i]));
        if (3 * changes > letters || changes >= least) continue;
        best = i;
        least = changes;
    }
    return best;
}

/* Sets chosen [most] to the indices of the first names that begin with `text`; returns how many. */
static size_t beginning_with(const char *text, const char *const *names, size_t n, size_t *chosen,
                             size_t most) {
    size_t found = 0, length = strlen(text);
    for (size_t i = 0; length > 0 && i < n && found < most; i++)
        if (strncmp(text, names[i], length) == 0) chosen[found++] = i;
    return found;
}

const char *name_hint(const char *text, const char *const *names, size_t n, const char *dashes,
                      char *hint) {
    enum { MOST = 4 };
    size_t chosen[MOST], found = beginning_with(text, names, n, chosen, MOST), used = 0;
    size_t nearest = found ? n : nearest_name(text, names, n);
    if (nearest < n) chosen[found++] = nearest;
    hint[0] = '\0';
    for (size_t i = 0; i < found && used < NAME_HINT_SIZE; i++) {
        const char *before = i + 1 < found ? ", " : " and ";
        if (i == 0) before = found == 1 ? "; the nearest is " : "; the nearest are ";
        used += (size_t)snprintf(hint + used, NAME_HINT_SIZE - used, "%s%s%.40s", before, dashes,
                                 names[chosen[i]]);
    }
    return hint;
}

/* True if `name` [n bytes] is one of the choices "a|b|c". */
static bool is_choice(const char *choices, const char *name, size_t n) {
    for (const char *at = choices; *at;) {
        size_t length = strcspn(at, "|");
        if (length == n && memcmp(at, name, n) == 0) return true;
        at += length + (at[length] == '|');
    }
    return false;
}

/* "softmax, favor or local" */
static void list_choices(const flag *f, char *out, size_t size) {
    size_t used = 0;
    const char *separator = "";
    for (const char *at = f->choices; *at && used < size;) {
        size_t length = strcspn(at, "|");
        bool last = !at[length] && !f->most;
        if (*separator && last) separator = " or ";
        used += (size_t)snprintf(out + used, size - used, "%s%.*s", separator, (int)length, at);
        separator = ", ";
        at += length + (at[length] == '|');
    }
    if (f->most && used < size)
        snprintf(out + used, size - used, " or a whole number from %llu to %llu",
                 (unsigned long long)f->least, (unsigned long long)f->most);
}

static void describe_allowed(const flag *f, char *out, size_t size) {
    switch (f->kind) {
    case FLAG_COUNT:
    case FLAG_COUNTS:
        snprintf(out, size, "%s from %llu to %llu%s%s%s%s",
                 f->kind == FLAG_COUNT ? "a whole number" : "whole numbers",
                 (unsigned long long)f->least, (unsigned long long)f->most,
                 f->kind == FLAG_COUNT ? "" : " separated by commas",
                 f->no_limit ? ", or -1 (" : "", f->no_limit ? f->no_limit : "",
                 f->no_limit ? ")" : "");
        break;
    case FLAG_NUMBER:
        snprintf(out, size, "a number from %g to %g", f->low, f->high);
        break;
    default:
        list_choices(f, out, size);
    }
}

static bool fits_count(const flag *f, const char *text, uint64_t *value) {
    if (f->no_limit && strcmp(text, "-1") == 0) {
        *value = UINT64_MAX;
        return true;
    }
    return parse_count(text, value) && *value >= f->least && *value <= f->most;
}

/* Checks one item of a list, or the whole value if it is not a list. */
static bool fits(const flag *f, const char *text, option_value *value) {
    uint64_t ignored;
    switch (f->kind) {
    case FLAG_COUNT:
        return fits_count(f, text, &value->count);
    case FLAG_COUNTS:
        return fits_count(f, text, &ignored);
    case FLAG_NUMBER:
        return parse_number(text, &value->number) && value->number >= f->low &&
               value->number <= f->high;
    case FLAG_CHOICE:
    case FLAG_CHOICES:
        if (f->kind == FLAG_CHOICE) value->text = text;
        return is_choice(f->choices, text, strlen(text)) ||
               (f->most && fits_count(f, text, &ignored));
    default:
        value->text = text;
        return true;
    }
}

/* Copies the next item of a list to `item` and moves past it; false at the end. An item too long
 * for `item` is cut; no valid value is that long. */
static bool next_item(const char **list, char *item, size_t size) {
    if (!*list) return false;
    size_t length = strcspn(*list, ",");
    snprintf(item, size, "%.*s", (int)(length < size ? length : size), *list);
    *list = (*list)[length] ? *list + length + 1 : NULL;
    return true;
}

static bool set_value(const flag *f, const char *text, option_value *value, pf_error *error) {
    char allowed[256], item[32];
    bool is_list = f->kind == FLAG_COUNTS || f->kind == FLAG_CHOICES;
    bool good = true;
    if (is_list) {
        size_t n = 0;
        for (const char *rest = text; good && next_item(&rest, item, sizeof item); n++)
            good = fits(f, item, value) && n < OPTIONS_MAX_LIST;
        value->text = text;
    } else {
        good = fits(f, text, value);
    }
    if (good) return true;
    describe_allowed(f, allowed, sizeof allowed);
    return pf_fail(error, "--%s takes %s, not \"%.80s\"", f->name, allowed, text);
}

static bool takes(const flag *f, int command) { return (f->commands & command) != 0; }

/* Finds by long name [n bytes], or by letter if n is 0. */
static flag_id find_flag(int command, const char *name, size_t n, char letter) {
    for (int id = 0; id < FLAG_END; id++) {
        const flag *f = &flags[id];
        if (!takes(f, command)) continue;
        if (n ? strlen(f->name) == n && memcmp(f->name, name, n) == 0 : f->letter == letter)
            return (flag_id)id;
    }
    return FLAG_END;
}

static bool fail_unknown(int command, const char *argument, pf_error *error) {
    char name[64];
    const char *names[FLAG_END];
    size_t n = 0, length = strcspn(argument, "=");
    snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), argument);
    const char *bare = name + strspn(name, "-");
    for (int id = 0; id < FLAG_END; id++)
        if (takes(&flags[id], command)) names[n++] = flags[id].name;
    if (find_flag(FOR_ALL, bare, strlen(bare), 0) != FLAG_END && name[1] == '-')
        return pf_fail(error, "%s is not an option of this command; see --help", name);
    if (name[1] != '-') return pf_fail(error, "unknown option %.2s; see --help", name);
    char hint[NAME_HINT_SIZE];
    return pf_fail(error, "unknown option %s%s (see --help)", name,
                   name_hint(bare, names, n, "--", hint));
}

static bool add_repeat(options *parsed, flag_id id, const char *text, pf_error *error) {
    if (parsed->n_repeated == OPTIONS_MAX_REPEATS)
        return pf_fail(error, "--%s is given too often; at most %d repeated options are allowed",
                       flags[id].name, OPTIONS_MAX_REPEATS);
    parsed->repeated[parsed->n_repeated].id = id;
    parsed->repeated[parsed->n_repeated++].text = text;
    return true;
}

/* Sets a value that has been found for the option `id`. */
static bool give(options *parsed, flag_id id, const char *value, pf_error *error) {
    const flag *f = &flags[id];
    if (!set_value(f, value, &parsed->values[id], error)) return false;
    parsed->given[id] = !(f->zero_is_default && parsed->values[id].count == 0);
    return !f->repeats || add_repeat(parsed, id, value, error);
}

/* Looks an argument up among the aliases. NULL with a message if its option is not one of this
 * command; otherwise *id, which is FLAG_END if the alias is to be ignored. */
static const alias *find_alias(options *parsed, const char *argument, flag_id *id,
                               pf_error *error) {
    const alias *found = alias_find(argument);
    if (!found) return NULL;
    *id = found->name ? find_flag(parsed->command, found->name, strlen(found->name), 0) : FLAG_END;
    if (found->name && *id == FLAG_END) {
        pf_fail(error, "%s (here --%s) is not an option of this command; see --help", found->typed,
                found->name);
        return NULL;
    }
    if (!found->name) parsed->ignored = found;
    return found;
}

/* Keys and values have one type here, so -ctk and -ctv must agree. */
static bool check_kv_alias(options *parsed, const alias *used, const char *value, pf_error *error) {
    if (!used || !used->name || strcmp(used->name, "kv") != 0) return true;
    if (parsed->kv_alias && strcmp(parsed->kv_alias, value) != 0)
        return pf_fail(error,
                       "keys and values have the same type here, so %s %s and %s do not go "
                       "together; give one --kv",
                       used->typed, value, parsed->kv_alias);
    parsed->kv_alias = value;
    return true;
}

/* Reads the option at arguments[*index] and moves *index to its last argument. */
static bool parse_option(options *parsed, int count, char *const *arguments, int *index,
                         pf_error *error) {
    const char *argument = arguments[*index], *value = NULL;
    flag_id id;
    pf_error reason = {""};
    const alias *used = find_alias(parsed, argument, &id, &reason);
    if (*reason.message) return pf_fail(error, "%s", reason.message);
    if (used) {
        if (strchr(argument, '=')) value = strchr(argument, '=') + 1;
    } else if (argument[1] == '-') {
        size_t length = strcspn(argument + 2, "=");
        id = length ? find_flag(parsed->command, argument + 2, length, 0) : FLAG_END;
        if (argument[2 + length]) value = argument + 2 + length + 1;
    } else {
        id = find_flag(parsed->command, NULL, 0, argument[1]);
        if (argument[2]) value = argument + 2;
    }
    if (id == FLAG_END && !used) return fail_unknown(parsed->command, argument, error);
    const flag *f = id == FLAG_END ? NULL : &flags[id];
    if (f && f->kind == FLAG_SWITCH) {
        parsed->given[id] = true;
        return !value ||
               pf_fail(error, "--%s takes no value, but was given \"%.80s\"", f->name, value);
    }
    if (!value && f && f->optional) {
        const char *next = *index + 1 < count ? arguments[*index + 1] : "";
        bool is_list = *next && !next[strspn(next, "0123456789,")];
        if (!is_list) {
            parsed->given[id] = true;
            return true;
        }
        value = arguments[++*index];
    }
    if (!value) {
        if (*index + 1 >= count)
            return f ? pf_fail(error, "--%s needs a value: --%s %s", f->name, f->name, f->argument)
                     : pf_fail(error, "%s needs a value", argument);
        value = arguments[++*index];
    }
    if (!f) return true;
    return check_kv_alias(parsed, used, value, error) && give(parsed, id, value, error);
}

/* MODEL may also be given as -m MODEL. */
static bool take_model(options *parsed, pf_error *error) {
    if (!parsed->given[FLAG_MODEL]) return true;
    const char *model = parsed->values[FLAG_MODEL].text;
    if (parsed->model)
        return pf_fail(error, "the model is given twice: %.80s and -m %.80s", parsed->model, model);
    parsed->model = model;
    return true;
}

/* "--scaling or --html" */
static void list_others(const flag_rule *rule, char *out, size_t size) {
    size_t used = 0;
    for (int i = 0; rule->others[i] != FLAG_END && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s--%s", i ? " or " : "",
                                 flags[rule->others[i]].name);
}

static bool check_rule(const options *parsed, const flag_rule *rule, pf_error *error) {
    char others[256];
    flag_id with = FLAG_END;
    if (!(rule->commands & parsed->command) || !parsed->given[rule->id]) return true;
    for (int i = 0; rule->others[i] != FLAG_END; i++)
        if (parsed->given[rule->others[i]]) with = rule->others[i];
    if (rule->needs == (with != FLAG_END)) return true;
    list_others(rule, others, sizeof others);
    if (rule->needs)
        return pf_fail(error, "--%s has no effect without %s", flags[rule->id].name, others);
    return pf_fail(error, "give --%s or --%s, not both: together, one of them has no effect",
                   flags[rule->id].name, flags[with].name);
}

bool options_parse(int command, int count, char *const *arguments, options *parsed,
                   pf_error *error) {
    *parsed = (options){.command = command};
    for (int id = 0; id < FLAG_END; id++)
        if (takes(&flags[id], command) && flag_fallback(&flags[id], command) &&
            !set_value(&flags[id], flag_fallback(&flags[id], command), &parsed->values[id], error))
            return false;
    bool ended = false;
    for (int i = 0; i < count; i++) {
        const char *argument = arguments[i];
        if (!ended && strcmp(argument, "--") == 0) {
            ended = true;
        } else if (!ended && argument[0] == '-' && argument[1]) {
            if (!parse_option(parsed, count, arguments, &i, error)) return false;
        } else if (parsed->model) {
            return pf_fail(error,
                           "\"%.80s\" is one argument too many: the model is already %.80s; "
                           "give a text in quotes, with -p",
                           argument, parsed->model);
        } else {
            parsed->model = argument;
        }
    }
    if (!take_model(parsed, error)) return false;
    for (size_t i = 0; !parsed->given[FLAG_HELP] && i < n_flag_rules; i++)
        if (!check_rule(parsed, &flag_rules[i], error)) return false;
    return true;
}

void options_give_text(options *parsed, flag_id id, const char *text) {
    parsed->given[id] = true;
    parsed->values[id].text = text;
    if (!flags[id].repeats) return;
    parsed->repeated[parsed->n_repeated].id = id; /* not full: not even this one is given */
    parsed->repeated[parsed->n_repeated++].text = text;
}

size_t options_counts(const options *parsed, flag_id id, uint64_t *values) {
    char item[32];
    size_t n = 0;
    const char *rest = parsed->values[id].text;
    while (n < OPTIONS_MAX_LIST && next_item(&rest, item, sizeof item))
        if (parse_count(item, &values[n])) n++;
    return n;
}

size_t options_choices(const options *parsed, flag_id id, char (*names)[32]) {
    size_t n = 0;
    const char *rest = parsed->values[id].text;
    while (n < OPTIONS_MAX_LIST && next_item(&rest, names[n], sizeof names[n])) n++;
    return n;
}

size_t options_repeats(const options *parsed, flag_id id, const char **texts) {
    size_t n = 0;
    for (size_t i = 0; i < parsed->n_repeated; i++)
        if (parsed->repeated[i].id == id) texts[n++] = parsed->repeated[i].text;
    return n;
}

bool options_set(options *parsed, flag_group group, const char *name, const char *value,
                 pf_error *error) {
    char dashed[64];
    snprintf(dashed, sizeof dashed, "--%.60s", name);
    const alias *other = alias_find(dashed);
    if (other && other->name) name = other->name;
    flag_id id = *name ? find_flag(parsed->command, name, strlen(name), 0) : FLAG_END;
    const flag *f = id == FLAG_END ? NULL : &flags[id];
    if (!f || f->group != group || f->repeats || f->kind == FLAG_SWITCH)
        return pf_fail(error, "%.40s cannot be set", *name ? name : "nothing");
    option_value given = parsed->values[id];
    if (!set_value(f, value, &given, error)) return false;
    parsed->values[id] = given;
    parsed->given[id] = true;
    return true;
}

/* One "name=value" or "switch" of a setting. */
static bool set_item(options *parsed, char *item, pf_error *error) {
    size_t length = strcspn(item, "=");
    flag_id id = find_flag(parsed->command, item, length, 0);
    if (id == FLAG_END || length == 0 || flags[id].repeats) {
        char name[48];
        snprintf(name, sizeof name, "--%.40s", item);
        return length ? fail_unknown(parsed->command, name, error)
                      : pf_fail(error, "an option has no name");
    }
    bool has_value = item[length] == '=';
    if (has_value != (flags[id].kind != FLAG_SWITCH))
        return pf_fail(error, has_value ? "%s takes no value" : "%s needs a value: %s=...",
                       flags[id].name, flags[id].name);
    if (has_value) return give(parsed, id, item + length + 1, error);
    parsed->given[id] = true;
    return true;
}

bool options_parse_setting(options *parsed, flag_id head, char *setting, pf_error *error) {
    char *item = setting;
    for (bool first = true; item; first = false) {
        char *comma = strchr(item, ',');
        if (comma) *comma = '\0';
        if (first ? !set_value(&flags[head], item, &parsed->values[head], error)
                  : !set_item(parsed, item, error))
            return false;
        if (first) parsed->given[head] = true;
        item = comma ? comma + 1 : NULL;
    }
    return true;
}
