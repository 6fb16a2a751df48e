#!/usr/bin/env bash
# tests/test_docs_check.sh - scripts/docs-check: it must find what is wrong, and nothing else.
# shellcheck disable=SC2016  # backticks of Markdown
. tests/tap.sh

page() { cat >"$tmp/page.md"; }
checked() { # WHAT WANTED-CODE PATTERN
    said=$(scripts/docs-check "$tmp/page.md" 2>&1)
    equal "$1" "$2" $?
    match "... and says so" "$3" "$said"
}
session() { printf '%s\n' "\`\`\`$1" "\$ $2" "${@:3}" '```' | page; }

session sh true
checked "a command that works" 0 '1 commands ran, 0 outputs compared'
session sh false
checked "a command that fails" 1 'page.md:2: this command fails: false'
session "sh exact" "printf 'a\nb\nc\n'" a ... c
checked "an exact output, with lines left out" 0 '1 outputs compared'
session "sh exact" "echo 1.001" 1.000
checked "an exact output that differs" 1 'printed: 1.000'
session "sh exact" "printf 'a\nb\n'" a
checked "more output than is printed" 1 'not printed: b'
session "sh exact" "echo a" a b
checked "less output than is printed" 1 'printed: b'
session "sh near" "echo 'x  1.001 2.5e-03 97%'" 'x 1.000 2.4e-03 98%'
checked "near: last digits may differ" 0 '1 outputs compared'
session "sh near" "echo 'x 1.051'" 'x 1.000'
checked "near: others may not" 1 'printed: x 1.000'
session "sh near" "echo 'y 1'" 'x 1'
checked "near: words may not" 1 'printed: x 1'
table=('attention  loss  state' 'softmax   2.24 1.1 MB' 'favor     2.60 9.0 kB')
session sh "printf 'attention loss state\nsoftmax 9.1 2.0 MB\nfavor 1 8 kB\n'" "${table[@]}"
checked "a table whose numbers are others" 0 '1 outputs compared'
session sh "printf 'attention state loss\nsoftmax 9.1 2.0 MB\nfavor 1 8 kB\n'" "${table[@]}"
checked "columns in another order" 1 'printed: attention  loss  state'
session sh "printf 'attention loss state top\nsoftmax 9.1 2.0 MB 1\nfavor 1 8 kB 1\n'" "${table[@]}"
checked "a column more" 1 'came:    attention loss state top'
session sh "printf 'attention loss state\nfavor 1 8 kB\nsoftmax 9.1 2.0 MB\n'" "${table[@]}"
checked "rows in another order" 1 'printed: softmax'
session sh "printf '%s\n' 'a 1' 'a 2' 'a 3' end" 'a 7' ... 'a 9' end
checked "after the last ... come the last lines" 0 '1 outputs compared'
session "sh free" "echo a tale" "another tale"
checked "a text that a model wrote is not compared" 0 '1 commands ran, 0 outputs compared'
session "sh needs no/such/file" false
checked "what needs a missing file is skipped" 0 '0 commands ran, 0 outputs compared, 1 skipped'
printf '%s\n' '<!-- docs-check: exact -->' '```' "\$ echo a \\" "    b" 'a c' '```' | page
checked "words in a comment, a continued command" 1 'printed: a c'
printf '%s\n' '```c' '$ false' '```' '```sh' 'false' '```' | page
checked "code, and commands without a \$, are not run" 0 '0 commands ran'
printf '[here](nowhere.md)\n' | page
checked "a link that leads nowhere" 1 'leads nowhere: nowhere.md'
echo 'See [here](page.md#recall).' | page
checked "a link to a part of a page" 0 '1 links'
printf 'void some_function(int a) {\n}\n' >"$tmp/code.c"
printf '[%s in %s](code.c)\n' '`some_function`' '`code.c`' | page
checked "a function that is there" 0 '1 links'
printf '[%s in %s](code.c)\n' '`function`' '`code.c`' | page
checked "a function that is not" 1 'code.c defines no function'
