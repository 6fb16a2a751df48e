#!/usr/bin/env bash
# tests/test_report.sh - compare --html: the file by itself, and in a browser (Chromium, headless).
. tests/lib.sh

report=$tmp/report.html
run compare models/weights/tales-softmax.gguf --against "favor,features=64" \
    --against "favor,features=64,map=trig" --against "local,window=16" \
    --html "$report" --seconds 8 --continue 12 -q
equal "--html: exit 0, nothing on stderr" "0 " "$code $err"
match "... and the table is still on stdout" '^attention +perplexity' "$out"
check "the file is smaller than 2 MB" test "$(stat -c %s "$report")" -lt 2000000
equal "it loads nothing from elsewhere" 0 \
    "$(grep -cE 'https?://|src=|@import|url\(' "$report")"
for id in numbers texts attention divergence layers z features length; do
    check "there is a section $id" grep -q "<section id=\"$id\"" "$report"
done
drawings=$(grep -oE '<svg [^>]*viewBox' "$report" | wc -l)
check "there are drawings: $drawings" test "$drawings" -ge 7 # a chart each, and more for the heads
equal "every drawing has a role and a name" "$drawings" \
    "$(grep -oE '<svg [^>]*role="img" aria-labelledby="[^"]+">' "$report" | wc -l)"
equal "no id is there twice" "" "$(grep -oE ' id="[^"]+"' "$report" | sort | uniq -d)"

# the content of a text is shown, not run
run compare tests/fixtures/families/llama.gguf -p '<script>alert("&")</script>' \
    --against 'favor,features=64' --html "$tmp/hostile.html" --seconds 1 --continue 0 -q
equal "hostile text: exit 0" 0 "$code"
run compare tests/fixtures/families/llama.gguf -p '<b>the hat</b>' --against 'favor,features=64' \
    --html "$tmp/hostile.html" --seconds 1 --continue 3 -q
equal "markup in a text is escaped" 0 "$(grep -c '<b>the' "$tmp/hostile.html")"
run compare tests/fixtures/families/llama.gguf -p "the hat" --html "$tmp/missing/report.html" \
    --seconds 1 -q
equal "a missing folder: exit 1" 1 "$code"
match "... with its name" 'missing' "$err"

# ---- in a browser
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -z "$browser" ]; then
    skip "the report in a browser" "no chromium"
    exit
fi
dump() { # FILE[#HASH]: the page after its scripts ran; what went wrong to $tmp/log
    timeout 60 "$browser" --headless=new --no-sandbox --disable-gpu --user-data-dir="$tmp/profile" \
        --enable-logging=stderr --virtual-time-budget=3000 --dump-dom "file://$1" 2>"$tmp/log"
}
dump "$report" >"$tmp/dom"
check "it opens" grep -q '</html>' "$tmp/dom"
equal "no errors on the console" "" "$(grep -E 'CONSOLE|Uncaught|Refused' "$tmp/log")"
check "the first head is shown" grep -qE '<div class="head first on" id="l0h0">' "$tmp/dom"
dump "$report#l2h1" >"$tmp/dom"
check "a link to a head shows it" grep -qE '<div class="head on" id="l2h1">' "$tmp/dom"
equal "... and it alone" 1 "$(grep -coE '<div class="head( first)? on"' "$tmp/dom")"

# a script of our own checks what was drawn, and picks a head as a user would
cat >"$tmp/probe" <<'JS'
<script>
window.addEventListener('load', function () {
  var said = [], charts = document.querySelectorAll('.chart > svg');
  charts.forEach(function (svg) {
    var box = svg.getBBox(), lines = svg.querySelectorAll('.series > path');
    var drawn = box.width > 300 && box.height > 200 && lines.length > 0;
    lines.forEach(function (line) { drawn = drawn && line.getTotalLength() > 50; });
    var outside = box.x < -1 || box.y < -1 || box.x + box.width > svg.viewBox.baseVal.width + 1;
    said.push((drawn && !outside ? 'drawn ' : 'BAD ') + svg.parentNode.id);
  });
  var layer = document.getElementById('layer'), head = document.getElementById('head');
  layer.value = '3'; head.value = '2';
  head.dispatchEvent(new Event('change'));
  var visible = Array.prototype.filter.call(document.querySelectorAll('.head'), function (e) {
    return e.getBoundingClientRect().height > 100; });
  said.push('visible ' + visible.map(function (e) { return e.id; }).join(' '));
  var images = document.querySelectorAll('image'), good = 0, left = images.length;
  images.forEach(function (image) {
    var copy = new Image();
    copy.onload = copy.onerror = function () {
      good += copy.naturalWidth === 64 && copy.naturalHeight === 64;
      if (--left === 0) {
        said.push('pictures ' + good + ' of ' + images.length);
        document.body.dataset.said = said.join('; ');
      }
    };
    copy.src = image.getAttribute('href');
  });
});
</script>
JS
sed "/<\/main>/r $tmp/probe" "$report" >"$tmp/probed.html"
dump "$tmp/probed.html" >"$tmp/dom"
said=$(grep -oE 'data-said="[^"]*"' "$tmp/dom")
equal "the probe runs without errors" "" "$(grep -E 'CONSOLE|Uncaught|Refused' "$tmp/log")"
for chart in kl layer-attention layer-residual features-output features-kernel length-time \
    length-state; do
    match "chart $chart is drawn" "drawn $chart(;|\")" "$said"
done
match "the picker shows the chosen head" 'visible l3h2;' "$said"
match "every matrix is a picture" 'pictures 32 of 32' "$said"

# without the page's script, the links to the heads still work
cat >"$tmp/plain" <<'JS'
<script>
addEventListener('load', function () {
  document.body.dataset.said = [].filter.call(document.querySelectorAll('.head, .links'),
    function (e) { return e.getBoundingClientRect().height > 10; }
  ).map(function (e) { return e.id || e.className; }).join(' ');
});
</script>
JS
sed '/^<script>/,/<\/script>/d' "$report" | sed "/<\/main>/r $tmp/plain" >"$tmp/plain.html"
dump "$tmp/plain.html" >"$tmp/dom"
match "without script: the links, and the first head" 'data-said="links l0h0"' "$(cat "$tmp/dom")"
dump "$tmp/plain.html#l1h3" >"$tmp/dom"
match "without script: a link shows its head" 'data-said="links l1h3"' "$(cat "$tmp/dom")"

# on a phone: in a frame of 400 pixels, labels can be read and what is wider shows that it scrolls
cat >"$tmp/narrow" <<'JS'
<script>
addEventListener('load', function () {
  var hinted = 0, scrolling = 0;
  document.querySelectorAll('.scroll, .chart').forEach(function (e) {
    var says = e.matches('.scroll') ? getComputedStyle(e, '::before').content
      : getComputedStyle(e.querySelector('figcaption'), '::after').content;
    if (e.scrollWidth <= e.clientWidth + 1) return;
    scrolling++;
    hinted += /scrolls sideways/.test(says) && getComputedStyle(e).overflowX === 'auto';
  });
  var page = document.documentElement;
  var heights = [].map.call(document.querySelectorAll('.tick'), function (e) {
    return e.getBoundingClientRect().height; });
  parent.postMessage('label ' + Math.min.apply(null, heights).toFixed(1) + '; hinted ' + hinted +
    ' of ' + scrolling + '; page ' + (page.scrollWidth <= page.clientWidth), '*');
});
</script>
JS
sed "/<\/main>/r $tmp/narrow" "$report" >"$tmp/narrow.html"
cat >"$tmp/frame.html" <<'JS'
<body><script>
addEventListener('message', function (e) { document.body.dataset.said = e.data; });
</script><iframe src="narrow.html" width="400" height="900"></iframe></body>
JS
dump "$tmp/frame.html" >"$tmp/dom"
said=$(grep -oE 'data-said="[^"]*"' "$tmp/dom")
height=$(grep -oE 'label [0-9.]+' <<<"$said" | cut -d' ' -f2)
check "400 pixels: the smallest label is ${height:-?} pixels high" \
    awk -v h="${height:-0}" 'BEGIN { exit !(h >= 10) }'
match "... what is wider than the screen says that it scrolls" 'hinted ([2-9]) of \1;' "$said"
match "... and the page itself does not" 'page true' "$said"

# wide and narrow, light and dark: contrast, sizes, names of controls
relayed "it was looked at" python3 tests/check_looks.py "$report" "the report"
