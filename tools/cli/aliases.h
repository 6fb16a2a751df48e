/* floor 5.0 - aliases: what users of llama.cpp type for our options. */
#ifndef ALIASES_H
#define ALIASES_H

typedef struct alias {
    const char *typed; /* with its dashes */
    const char *name; /* the long name of the option that it means; NULL: ignored, with its value */
    const char *why;  /* if ignored: the sentence that says so */
} alias;

/* The alias that was typed as an argument, with or without "=VALUE"; NULL if there is none. */
const alias *alias_find(const char *argument);

#endif
