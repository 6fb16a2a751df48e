// Choosing a head in the report of `compare --html`: shows one head's pictures at a time.
// Without this script the links above the pictures do the same. The Makefile embeds this file.
(function () {
    'use strict';
    var box = document.querySelector('.heads');
    if (!box) return;
    var pick = box.querySelector('.pick'), links = box.querySelector('.links');
    var layer = pick.querySelector('#layer'), head = pick.querySelector('#head');

    function show() {
        box.querySelectorAll('.head').forEach(function (e) {
            e.classList.toggle('on', e.id === 'l' + layer.value + 'h' + head.value);
        });
    }

    // A link such as #l2h1 names a layer and a head.
    function follow() {
        var m = /^#l(\d+)h(\d+)$/.exec(location.hash);
        if (m) {
            layer.value = m[1];
            head.value = m[2];
        }
        show();
    }

    layer.addEventListener('change', show);
    head.addEventListener('change', show);
    window.addEventListener('hashchange', follow);
    box.classList.add('js');
    pick.hidden = false;
    links.hidden = true;
    follow();
})();
