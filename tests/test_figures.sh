#!/usr/bin/env bash
# tests/test_figures.sh - docs/figures is drawn from its tables, and scripts/figures finds what is
# not.
. tests/tap.sh

export FIGURES=${FIGURES:-build/figures}
if [ ! -x "$FIGURES" ]; then
    skip "the figures" "no $FIGURES: make figures"
    exit 0
fi

# What is committed.
while read -r name kind; do
    table=()
    if [ "$kind" != drawing ]; then table=("docs/figures/$name.csv"); fi
    "$FIGURES" draw "$name" "${table[@]}" >"$tmp/$name.svg" 2>"$tmp/err"
    check "$name is drawn as it is committed" cmp "$tmp/$name.svg" "docs/figures/$name.svg"
done < <("$FIGURES" --list)
check "every figure is XML with a title, a description and both colour schemes" \
    python3 - "$tmp"/*.svg <<'PYTHON'
import sys, xml.etree.ElementTree as tree
for path in sys.argv[1:]:
    root = tree.parse(path).getroot()
    svg = "{http://www.w3.org/2000/svg}"
    width, height = (float(x) for x in root.get("viewBox").split()[2:])
    assert len(root.find(svg + "title").text) > 10 and len(root.find(svg + "desc").text) > 80, path
    style = root.find(svg + "style").text
    assert "prefers-color-scheme: dark" in style and "var(" not in style, path
    assert style.count(".c0 { color: #") == 2, path
    for text in root.iter(svg + "text"):  # within the picture
        if text.get("x"):
            assert 0 <= float(text.get("x")) <= width, (path, text.text)
PYTHON

# A check that passes, and one that fails for each reason.
mkdir "$tmp/figures"
cp docs/figures/* "$tmp/figures"
checked() { # WHAT WANTED-CODE PATTERN NAME
    said=$(FIGURES_FOLDER=$tmp/figures \
        FIGURES_PAGES=${pages:-docs} scripts/figures --check "$4" 2>&1)
    equal "$1" "$2" $?
    match "... and says so" "$3" "$said"
}
checked "data and figure agree" 0 '1 checked, 0 failed' cost-state
sed -i 's/^64,262144/64,272144/' "$tmp/figures/cost-state.csv"
checked "a table that is not what is measured" 1 'not what is measured now: its line 3' cost-state
checked "... and not what the figure shows" 1 'svg is not what its data draws' cost-state
cp docs/figures/cost-state.csv "$tmp/figures"
sed -i 's|^512,3|512,4|' "$tmp/figures/position.csv"
checked "a number that a script measured, changed" 1 'position.svg is not what its' position
touch "$tmp/figures/stray.svg"
checked "a file that is no figure" 1 'stray.svg belongs to no figure' state
rm "$tmp/figures/stray.svg"
mkdir "$tmp/pages"
echo '![S and z](figures/state.svg)' >"$tmp/pages/a.md"
pages=$tmp/pages checked "a picture with hardly a word beside it" 1 'without saying what' state
echo 'none' >"$tmp/pages/a.md"
pages=$tmp/pages checked "a picture that no page shows" 1 'no page shows' state
rm "$tmp/figures/parts.svg"
FIGURES_FOLDER=$tmp/figures scripts/figures parts >/dev/null
check "without --check, figures are drawn" cmp "$tmp/figures/parts.svg" docs/figures/parts.svg

# Tables that are none.
refused() { # WHAT PATTERN TEXT
    printf '%b' "$3" >"$tmp/table.csv"
    said=$("$FIGURES" draw position "$tmp/table.csv" 2>&1 >"$tmp/out")
    equal "$1" 1 $?
    match "... and says so" "$2" "$said"
    equal "... and draws nothing" 0 "$(wc -c <"$tmp/out")"
}
refused "no column" 'has no column "favor"' 'position,softmax,forget\n1,2,3\n'
refused "no number" 'column "softmax", row 2: "x" is not a number' \
    'position,softmax,favor,forget\n1,2,3,4\n1,x,3,4\n'
refused "a short row" 'table.csv:3: 3 cells, but there are 4' \
    'position,softmax,favor,forget\n1,2,3,4\n1,2,3\n'
refused "a long row" 'table.csv:2: more cells' 'position,softmax,favor,forget\n1,2,3,4,5\n'
refused "an open quote" 'table.csv:2: a quote does not end' \
    'position,softmax,favor,forget\n1,"2,3,4\n'
refused "no rows" 'has no rows' '# nothing\nposition,softmax,favor,forget\n'
refused "nothing" 'no line that names the columns' '# nothing\n'
refused "a NUL" 'is no text' 'position\0,softmax\n'
said=$("$FIGURES" draw nonsense 2>&1)
equal "an unknown figure is wrong usage" 2 $?
match "... and says so" 'no figure "nonsense"' "$said"
said=$("$FIGURES" measure recall 2>&1)
equal "a figure that a script measures" 1 $?
match "... and says so" 'see scripts/measure-figures' "$said"
said=$(scripts/measure-figures nonsense 2>&1)
equal "scripts/measure-figures refuses what it does not know" 2 $?
match "... and says so" 'no table "nonsense"' "$said"
said=$(scripts/measure-figures 2>&1)
equal "... and without a name says what there is" 2 $?
match "... with the time it takes" 'cost-time .*minutes' "$said"
while read -r name kind; do
    [ "$kind" != script ] ||
        check "scripts/measure-figures has a part for $name" \
            grep -q "^measure_${name//-/_}() {" scripts/measure-figures
done < <("$FIGURES" --list)
