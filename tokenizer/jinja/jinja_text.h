/* floor 3.1 - Jinja text: strings as Python has them, made of characters, and values as text. */
#ifndef PF_JINJA_TEXT_H
#define PF_JINJA_TEXT_H

#include "jinja_value.h"

/* ---- characters ---- */

typedef enum jinja_class {
    JINJA_SPACE, /* str.isspace */
    JINJA_ALPHA,
    JINJA_DIGIT,
    JINJA_ALNUM,
    JINJA_UPPER,
    JINJA_LOWER,
} jinja_class;

bool pf_jinja_in_class(uint32_t code, jinja_class class);

/* The character at string.bytes[at], and how many bytes it has; an invalid byte is a character. */
uint32_t pf_jinja_char(jinja_string string, size_t at, size_t *size);

/* Bytes of white space that the string begins or ends with. */
size_t pf_jinja_space_before(jinja_string string);
size_t pf_jinja_space_behind(jinja_string string);

size_t pf_jinja_length(jinja_string string); /* characters */
/* Where character `index` begins, in bytes; string.n if there is none. */
size_t pf_jinja_offset(jinja_string string, size_t index);

/* Where `part` first (or last) occurs in string at or after byte `from`; SIZE_MAX if nowhere. */
size_t pf_jinja_find(jinja_heap *heap, jinja_string string, size_t from, jinja_string part);
size_t pf_jinja_find_last(jinja_heap *heap, jinja_string string, jinja_string part);

/* ---- building a string in the heap ---- */

typedef struct jinja_builder {
    jinja_heap *heap;
    char *bytes;
    size_t n, capacity;
} jinja_builder;

bool pf_jinja_add(jinja_builder *builder, const char *bytes, size_t n);
bool pf_jinja_add_string(jinja_builder *builder, jinja_string string);
bool pf_jinja_add_name(jinja_builder *builder, const char *name);
bool pf_jinja_add_code(jinja_builder *builder, uint32_t code);
/* Each character in upper or lower case; title: the first letter of each word in upper case. */
bool pf_jinja_add_cased(jinja_builder *builder, jinja_string string, jinja_class upper_or_lower);
bool pf_jinja_add_title(jinja_builder *builder, jinja_string string);
jinja_value pf_jinja_built(const jinja_builder *builder);

/* ---- values as text ---- */

bool pf_jinja_add_str(jinja_builder *builder, const jinja_value *value);  /* str(value) */
bool pf_jinja_add_repr(jinja_builder *builder, const jinja_value *value); /* repr(value) */
bool pf_jinja_add_real(jinja_builder *builder, double real); /* the shortest that reads back */
/* A number such as "-1.5e3" between white space; false if the text is none. */
bool pf_jinja_read_real(jinja_string text, double *real);
/* str(value) as a string: the value itself if it is one. */
bool pf_jinja_str(jinja_heap *heap, const jinja_value *value, jinja_string *string);

#endif
