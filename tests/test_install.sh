#!/usr/bin/env bash
# tests/test_install.sh - `make install`: examples build and run against it; symbols; manuals.
. tests/lib.sh

if [ "$performer" != ./performer ]; then
    skip "make install" "only for the default build"
    exit 0
fi
root=$tmp/root prefix=/opt/performer
if ! make -s install DESTDIR="$root" PREFIX=$prefix >"$tmp/log" 2>&1; then
    not_ok "make install" "$(cat "$tmp/log")"
    exit 1
fi
ok "make install"
lib=$root$prefix/lib
model=$root$prefix/share/performer/tales-favor.gguf
export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root LD_LIBRARY_PATH=$lib
unset MAKEFLAGS MAKELEVEL

equal "the installed program runs" "performer 0.1.0" "$("$root$prefix/bin/performer" --version)"
equal "the shared library's name" libperformer.so.0 \
    "$(objdump -p "$lib/libperformer.so" | awk '/SONAME/ { print $2 }')"
symbols=$(nm -D --defined-only "$lib/libperformer.so" | awk '{ print $3 }')
equal "it exports only pf_ symbols" "" "$(grep -v '^pf_' <<<"$symbols")"
equal "... exactly those that performer.h declares" \
    "$(scripts/api symbols | grep -o 'pf_[a-z0-9_]*')" \
    "$(LC_ALL=C sort <<<"$symbols")"
equal "so does the static library" "" \
    "$(nm -g --defined-only "$lib/libperformer.a" 2>/dev/null |
        awk 'NF == 3 { print $3 }' | grep -v '^pf_')"

read -ra flags <<<"$(pkg-config --cflags --libs performer)"
build() { # EXAMPLE
    check "examples/$1.c compiles without a warning" \
        "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror \
        "$root$prefix/share/doc/performer/examples/$1.c" "${flags[@]}" -pthread -o "$tmp/$1"
}
build generate
build many_sessions
wanted=$("$performer" generate "$model" -p "Once upon a time" -n 30 -t 0 -q --no-echo \
    --attention favor)
equal "generate writes the same text as the program" "$wanted" \
    "$("$tmp/generate" "$model" "Once upon a time" 30)"
match "... and reports errors" 'nowhere.gguf' "$("$tmp/generate" /nowhere.gguf x 2>&1)"
equal "64 sessions on 8 threads give the same texts as one by one" \
    "64 sessions on 8 threads: 64 texts the same, 0 wrong" "$("$tmp/many_sessions" "$model")"

printf '#include <performer.h>\n' >"$tmp/alone.c"
cp "$tmp/alone.c" "$tmp/alone.cc"
check "performer.h compiles alone" \
    "${CC:-cc}" -std=c11 -Wall -Werror -fsyntax-only "${flags[0]}" "$tmp/alone.c"
if command -v g++ >/dev/null; then
    check "... in C++ as well" g++ -std=c++17 -fsyntax-only "${flags[0]}" "$tmp/alone.cc"
fi
man=$root$prefix/share/man
for word in 'PERFORMER GENERATE' 'save\\-state' 'SEE ALSO'; do
    match "performer(1) has $word" "$word" "$(cat "$man/man1/performer.1")"
done
match "libperformer(3) has the functions" 'pf_session_append\(' "$(cat "$man/man3/libperformer.3")"
if command -v groff >/dev/null; then
    equal "the manuals have no errors" "" \
        "$(groff -man -ww -z "$man/man1/performer.1" "$man/man3/libperformer.3" 2>&1)"
fi
share=$root$prefix/share
equal "bash completes the installed program" _performer \
    "$(bash --norc -c ". '$share/bash-completion/completions/performer'; complete -p performer" |
        grep -o _performer)"
check "zsh has its completion" grep -q '^#compdef performer' \
    "$share/zsh/site-functions/_performer"
if command -v nroff >/dev/null; then
    equal "performer(1) fits 80 columns" "" "$(nroff -man -rLL=80n "$man/man1/performer.1" |
        col -bx | LC_ALL=C.UTF-8 grep -E '^.{81}')"
fi

# uninstall removes all of that and nothing else
echo mine >"$root$prefix/share/performer/mine"
echo mine >"$root$prefix/bin/mine"
check "make uninstall" make -s uninstall DESTDIR="$root" PREFIX=$prefix
equal "... leaves what is not performer's" "./bin/mine ./share/performer/mine" \
    "$(cd "$root$prefix" && find . ! -type d | LC_ALL=C sort | xargs)"
rm "$root$prefix/share/performer/mine"
check "... a second time is no error" make -s uninstall DESTDIR="$root" PREFIX=$prefix
equal "... and leaves no folder with its name" "" \
    "$(find "$root$prefix/" -mindepth 1 -name "performer*")"
