// The page of `explain --html`: what happens when a head, a token or a slider is chosen. Without
// this script the page shows one head and the last token. Embedded by the Makefile. ASCII only.
(function () {
    'use strict';
    var M = PerformerMath, draw = PerformerDraw;
    var data = JSON.parse(document.getElementById('numbers').textContent);
    var T = data.T, D = data.D, G = data.heads / data.kv_heads;
    var MAPS = ['positive', 'hyperbolic', 'trig', 'trig-offset', 'relu', 'elu'];
    var PAIRED = {hyperbolic: true, trig: true}, EXPONENTIAL = {positive: true, hyperbolic: true,
        'favor++': true};
    var FORMULAS = {
        'positive': 'phi(x)_m = exp(w_m.x - |x|\u00b2/2) / \u221aM',
        'hyperbolic': 'phi(x)_m = exp(\u00b1w_m.x - |x|\u00b2/2) / \u221aM',
        'trig': 'phi(x)_m = exp(|x|\u00b2/2) (cos w_m.x, sin w_m.x) / \u221a(M/2)',
        'trig-offset': 'phi(x)_m = exp(|x|\u00b2/2) cos(w_m.x + b_m) \u221a(2/M)',
        'favor++': 'phi(x)_m = exp(B w_m.x - |x|\u00b2/2 + A |w_m|\u00b2 + log D) / \u221aM',
        'relu': 'phi(x)_m = (relu(w_m.x) + \u03b5) / \u221aM',
        'elu': 'phi(x)_d = elu(x_d) + 1',
        'normalized': 'phi(x)_m = softmax_m(w_m.x + b_m) exp(u.x + c)'
    };

    function byId(id) { return document.getElementById(id); }

    // ---- what is stored
    function bytesOf(text) {
        return Uint8Array.from(atob(text), function (c) { return c.charCodeAt(0); });
    }

    function floatOfHalf(h) {
        var exponent = h >> 10 & 31, fraction = h & 1023, sign = h & 0x8000 ? -1 : 1;
        if (exponent === 0) return sign * fraction * Math.pow(2, -24);
        if (exponent === 31) return fraction ? NaN : sign * Infinity;
        return sign * (1 + fraction / 1024) * Math.pow(2, exponent - 15);
    }

    function numbersOf(text, half) {
        var buffer = bytesOf(text).buffer;
        if (!half) return new Float32Array(buffer);
        return Float32Array.from(new Uint16Array(buffer), floatOfHalf);
    }

    // Features that the file stores, for queries or keys.
    function storedFeatures(side, map, size) {
        var f = {map: map, M: size, tilt_constant: side.tilt_constant};
        ['omega', 'bias', 'center', 'transform', 'tilt'].forEach(function (part) {
            if (side[part]) f[part] = numbersOf(side[part], false);
        });
        return f;
    }

    // The rows of a head and what the engine did with them; null if the page does not have them.
    var opened = {};
    function open(layer, head) {
        var name = layer + '.' + head, kv = Math.floor(head / G);
        var stored = data.rows[name], keys = data.keys[layer + '.' + kv];
        if (!stored || !keys) return null;
        if (opened[name]) return opened[name];
        var h = {T: T, D: D, scale: data.scale, cap: data.cap, layer: layer, head: head,
            stream: layer * data.heads + kv * G, window: Math.min(stored.window, T),
            sinks: stored.sinks, map: stored.map, features: stored.features, half: stored.half,
            q: numbersOf(stored.q, stored.half), k: numbersOf(keys.k, stored.half),
            v: numbersOf(keys.v, stored.half)};
        if (stored.q_plain) h.qPlain = numbersOf(stored.q_plain, stored.half);
        if (keys.k_plain) h.kPlain = numbersOf(keys.k_plain, stored.half);
        if (stored.own)
            h.own = {q: storedFeatures(stored.own.q, stored.map, stored.features),
                k: storedFeatures(stored.own.k, stored.map, stored.features)};
        h.scores = M.scores(h);
        h.softmax = M.softmax(T, h.scores, stored.sliding || T);
        return opened[name] = h;
    }

    // ---- what is chosen. `changed` holds what differs from how the engine ran.
    var at = {layer: data.layer, head: data.head, token: T - 1, key: T - 1}, changed = {};
    var CHOICES = ['map', 'projection', 'features', 'seed', 'window', 'sinks'];

    // map 'stored': the features that the file has, whatever draws say.
    // Stored features have their M and their draw: who asks for others gets drawn ones.
    function settings(head) {
        var own = {map: head.own ? 'stored' : head.map || 'none', features: head.features || 64,
            projection: data.settings.projection, seed: data.settings.seed,
            window: head.window, sinks: head.sinks};
        if (own.map !== 'none') Object.assign(own, changed);
        var asked = ['features', 'seed', 'projection'].some(function (n) { return n in changed; });
        if (own.map === 'stored' && (asked || !head.own))
            own.map = MAPS.indexOf(head.map) >= 0 ? head.map : 'positive';
        if (PAIRED[own.map]) own.features -= own.features % 2;
        return own;
    }

    function featuresOf(head, s) {
        var epsilon = data.settings.epsilon, both;
        if (s.map === 'none') return {epsilon: 0};
        if (s.map === 'stored') {
            both = {q: Object.assign({}, head.own.q), k: Object.assign({}, head.own.k)};
        } else {
            both = {q: M.drawn(s.map, s.features, D, s.projection, BigInt(s.seed), head.stream)};
            both.k = Object.assign({}, both.q);
        }
        var map = both.q.map;
        both.epsilon = EXPONENTIAL[map] ? epsilon : 0;
        both.q.epsilon = both.k.epsilon = both.epsilon;
        both.q.added = map === 'relu' ? epsilon || 1e-3 : both.epsilon;
        both.k.added = map === 'relu' ? epsilon || 1e-3 : 0;
        return both;
    }

    // The head at hand under the settings at hand; kept until either changes.
    var latest = {name: ''};
    function compute() {
        var head = open(at.layer, at.head);
        if (!head) return null;
        var s = settings(head), name = at.layer + '.' + at.head + JSON.stringify(s);
        if (latest.name === name) return latest;
        var f = featuresOf(head, s);
        var plain = s.map === 'stored' ? head
            : Object.assign({}, head, {qPlain: undefined, kPlain: undefined});
        var run = M.performer(plain, {q: f.q, k: f.k, window: s.window, sinks: s.sinks,
            epsilon: f.epsilon, forget: data.settings.forget}, head.scores);
        run.moved = Boolean(f.q && f.q.center);
        latest = {name: name, head: head, settings: s, run: run};
        return latest;
    }

    // ---- numbers as text
    function number(x) {
        var size = Math.abs(x);
        if (size === 0) return '0';
        return size >= 1e5 || size < 1e-4 ? x.toExponential(2) : x.toPrecision(4);
    }

    function token(t) { return '\u201c' + draw.shown(data.tokens[t]) + '\u201d'; }

    function part(s, t, j) {
        if (j < s.sinks) return 'sink';
        return t - j < s.window ? 'window' : 'tail';
    }

    function rowOf(weights, t) { return weights.subarray(t * T, (t + 1) * T); }

    // ---- drawing
    var view = {};

    function showMaps(c) {
        function of(weights) {
            return draw.picture(T, T, function (x, y) {
                var w = weights[y * T + x];
                return Math.sign(w) * Math.sqrt(Math.min(1, Math.abs(w)));
            });
        }
        c.head.picture = c.head.picture || of(c.head.softmax);
        c.picture = c.picture || of(c.run.weights);
        view.softmax.show(c.head.picture);
        view.favor.show(c.picture);
    }

    function mark(t, j) {
        view.softmax.mark(t, j);
        view.favor.mark(t, j);
    }

    // What theory says of one estimate; null for features that were moved by calibration.
    function prediction(c, t, j) {
        return c.run.moved ? null : M.predicted(c.run.map, c.run.M, c.head, t, j);
    }

    // The strongest of row t and key `wanted`, in the order of the text.
    function strongest(softmax, favor, t, wanted) {
        var order = [];
        function size(j) {
            return j === wanted ? Infinity : Math.max(softmax[j], Math.abs(favor[j]));
        }
        for (var j = 0; j <= t; j++) order.push(j);
        order.sort(function (a, b) { return size(b) - size(a); });
        return order.slice(0, 12).sort(function (a, b) { return a - b; });
    }

    function showTable(c, t, softmax, favor, wanted) {
        var box = byId('row'), scroll, table, head, body;
        box.textContent = '';
        draw.element('h3', '', box, 'What token ' + t + ', ' + token(t) +
            ', takes from the others' + (c ? '' : ' (read off the picture)'));
        scroll = draw.element('div', 'scroll', box);
        table = draw.element('table', '', scroll);
        head = draw.element('tr', '', draw.element('thead', '', table));
        var names = c ? ['token', 'softmax', 'Performer', 'part', 'estimate / e^score', 'Z',
            'predicted sd'] : ['token', 'softmax', 'Performer'];
        names.forEach(function (name) {
            draw.element('th', '', head, name).scope = 'col';
        });
        body = draw.element('tbody', '', table);
        strongest(softmax, favor, t, wanted).forEach(function (j) {
            var line = draw.element('tr', j === wanted ? 'wanted' : '', body);
            var first = draw.element('th', '', line, j);
            first.scope = 'row';
            draw.element('code', '', first, draw.shown(data.tokens[j]));
            draw.element('td', '', line, softmax[j].toFixed(c ? 4 : 2));
            draw.element('td', '', line, favor[j].toFixed(c ? 4 : 2));
            if (!c) return;
            var p = prediction(c, t, j), place = part(c.settings, t, j);
            var inTail = place === 'tail' && c.run.M > 0;
            draw.element('td', '', line, place);
            draw.element('td', '', line, inTail && p ? number(M.ratio(c.run, c.head.scores, t, j))
                : '');
            draw.element('td', '', line, p ? number(p.z) : '');
            draw.element('td', '', line, inTail && p ? number(p.sd)
                : '');
        });
    }

    // How far row t is off, and what theory says of its estimates.
    function showErrors(c, t) {
        var off = M.distance(c.head.softmax, c.run.weights, T, t), text;
        if (c.mean === undefined) {
            c.mean = 0;
            for (var i = 0; i < T; i++)
                c.mean += M.distance(c.head.softmax, c.run.weights, T, i) / T;
        }
        text = 'Token ' + t + ', ' + token(t) + ': Performer moves ' + off.toFixed(4) +
            ' of its weight to other tokens (mean of all rows ' + c.mean.toFixed(4) + ').';
        var theory = 0, measured = 0, share = 0;
        for (var j = 0; j <= t; j++) {
            if (part(c.settings, t, j) !== 'tail' || !c.run.M) continue;
            var p = prediction(c, t, j), w = c.head.softmax[t * T + j];
            if (!p) continue;
            theory += w * p.sd * p.sd;
            measured += w * Math.pow(M.ratio(c.run, c.head.scores, t, j) - 1, 2);
            share += w;
        }
        if (share > 0)
            text += ' One estimate of e^score is off by ' +
                number(Math.sqrt(measured / share)) + ' times its value here (root mean square, ' +
                'weighted by softmax); the variance predicts ' +
                number(Math.sqrt(theory / share)) + ' for independent draws.' +
                (theory > 100 * measured ? ' (Z is so large that almost every draw is far too ' +
                    'small, and a rare one enormous.)' : '');
        if (c.run.vanished)
            text += ' In ' + c.run.vanished + ' rows the estimated denominator is not positive, ' +
                'and the tail is left out.';
        byId('said').textContent = text;
    }

    function svgOf(id) { return byId(id).querySelector('svg'); }

    function vector(all, t, n) { return Array.from(all.subarray(t * n, (t + 1) * n)); }

    function showSizes(c, t) {
        var s = c.settings, size = c.run.M, exact = Math.min(t + 1, s.window + s.sinks), box, fixed;
        fixed = size * (D + 1) + (size ? 1 : 0) + 2 * D * exact;
        var cache = 2 * D * (t + 1), most = Math.max(fixed, 2 * D * T), even = fixed / (2 * D);
        box = byId('sizes');
        box.textContent = '';
        [['softmax: keys and values of ' + (t + 1) + ' tokens', cache, 'softmax'],
            ['Performer: S, z and c' + (exact ? ', sinks and window' : ''), fixed, 'favor']
        ].forEach(function (line) {
            var row = draw.element('span', 'size', box);
            draw.element('span', '', row, line[0] + ': ' + line[1].toLocaleString('en') +
                ' numbers');
            draw.element('i', line[2], row).style.width = 100 * line[1] / most + '%';
        });
        draw.element('span', '', box, size ? 'Performer\u2019s stays as it is; softmax\u2019s ' +
            'cache is the larger one from token ' + Math.ceil(even) + ' on.' : '');
    }

    function showState(c, t) {
        var run = c.run, size = run.M;
        byId('after').textContent = 'token ' + t + ', ' + token(t);
        draw.bars(svgOf('q'), vector(c.head.q, t, D), 960, 64);
        draw.bars(svgOf('k'), vector(c.head.k, t, D), 960, 64);
        byId('tail').hidden = !size || !byId('S');
        showSizes(c, t);
        if (byId('tail').hidden) return;
        var state = M.state(run, c.head.v, t), most = 0;
        state.S.forEach(function (x) { most = Math.max(most, Math.abs(x)); });
        function caption(id, text) { byId(id).querySelector('figcaption').textContent = text; }
        caption('phi-q', 'phi(q), the query\u2019s features: times e^' + number(run.qScale[t]));
        caption('phi-k', 'phi(k), the key\u2019s features: times e^' + number(run.kScale[t]) +
            (t - c.settings.window < t ? ' (the key waits in the window)' : ''));
        caption('S', 'S, [M = ' + size + ', D = ' + D + '], ' + state.keys + ' keys so far: a ' +
            'column is a feature, a row a number of the values' +
            (state.keys ? '; times e^' + number(state.c) : ''));
        caption('z', 'z, the sum of phi(k)' + (state.keys ? ': times e^' + number(state.c) : ''));
        draw.bars(svgOf('phi-q'), vector(run.phiQ, t, size), 960, 64);
        draw.bars(svgOf('phi-k'), vector(run.phiK, t, size), 960, 64);
        draw.bars(svgOf('z'), Array.from(state.z), 960, 64);
        var heat = draw.picture(size, D, function (m, d) {
            var part = most > 0 ? state.S[m * D + d] / most : 0;
            return Math.sign(part) * Math.sqrt(Math.abs(part));
        });
        byId('S').querySelector('image').setAttribute('href', heat);
    }

    // Row t, whether it is chosen or only looked at.
    function showRow(c, t, j) {
        var softmax = rowOf(c.head.softmax, t), favor = rowOf(c.run.weights, t);
        mark(t, j);
        view.strip.show(t, softmax, favor);
        showTable(c, t, softmax, favor, j);
        showErrors(c, t);
    }

    // ---- a head of which the page has only the pictures
    var decoded = {};
    function pngPixels(address) {
        var bytes = bytesOf(address.slice(address.indexOf(',') + 1)), at = 8;
        var lengths = new DataView(bytes.buffer);
        for (;;) {
            var length = lengths.getUint32(at);
            var name = String.fromCharCode.apply(null, bytes.subarray(at + 4, at + 8));
            if (name === 'IDAT') break;
            at += length + 12;
        }
        var stream = new Blob([bytes.subarray(at + 8, at + 8 + length)]).stream()
            .pipeThrough(new DecompressionStream('deflate'));
        return new Response(stream).arrayBuffer().then(function (buffer) {
            var rows = new Uint8Array(buffer), weights = new Float64Array(T * T);
            for (var t = 0; t < T; t++)
                for (var j = 0; j <= t; j++) {
                    var colour = rows[t * (T + 1) + 1 + j];
                    weights[t * T + j] = colour < 56 ? Math.pow(colour / 55, 2)
                        : -Math.pow((colour - 55) / 8, 2);
                }
            return weights;
        });
    }

    function showPictures() {
        var pair = pairOf(at.layer, at.head), images = pair.querySelectorAll('img');
        var name = at.layer + '.' + at.head;
        view.look = null;
        view.softmax.show(images[0].src);
        view.favor.show(images[1].src);
        byId('said').textContent = 'The page has only the pictures of this head: its queries and ' +
            'keys would make the file too large. For all of it, give the same text to: performer ' +
            'explain ' + data.model + ' --layer ' + at.layer + ' --head ' + at.head +
            ' --html FILE';
        mark(at.token, at.key);
        if (typeof DecompressionStream === 'undefined') return;
        decoded[name] = decoded[name] || Promise.all([pngPixels(images[0].src),
            pngPixels(images[1].src)]);
        decoded[name].then(function (weights) {
            if (name !== at.layer + '.' + at.head) return;
            view.look = function (t, j) {
                var softmax = rowOf(weights[0], t), favor = rowOf(weights[1], t);
                view.strip.show(t, softmax, favor);
                showTable(null, t, softmax, favor, j);
            };
            view.look(at.token, at.key);
        });
    }

    // ---- controls
    function pairOf(layer, head) {
        return document.querySelector('.pair[data-layer="' + layer + '"][data-head="' + head +
            '"]');
    }

    function fillMaps(head) {
        var select = byId('map'), own = head.own ? ['stored'] : [];
        var maps = own.concat(MAPS);
        if (!head.own && head.map && maps.indexOf(head.map) < 0) maps.unshift(head.map);
        if (select.dataset.maps === maps.join()) return;
        select.dataset.maps = maps.join();
        select.textContent = '';
        maps.forEach(function (map) {
            var option = draw.element('option', '', select,
                map === 'stored' ? 'as stored in the file: ' + head.map : map);
            option.value = map;
        });
    }

    function showControls(c) {
        var s = c && c.settings, fixed = !c || s.map === 'none';
        byId('token').value = at.token;
        byId('token-said').textContent = at.token + ' ' + token(at.token);
        CHOICES.forEach(function (name) { byId(name).disabled = fixed; });
        fillMaps(c ? c.head : {});
        if (fixed) return;
        ['features', 'seed', 'projection'].forEach(function (name) {
            byId(name).disabled = s.map === 'elu';
        });
        CHOICES.forEach(function (name) {
            byId(name).value = s[name];
            if (byId(name + '-said')) byId(name + '-said').textContent = s[name];
        });
        byId('features-said').textContent = c.run.M;
        byId('about').textContent = 'Each row of a map says how one token divides its attention ' +
            'among the tokens up to itself. Map: ' + FORMULAS[c.run.map] + '.' +
            (c.head.own && s.map !== 'stored' ? ' Drawn anew, as with --uncalibrated.' : '') +
            (c.head.half ? ' (The rows of this head are stored in half precision.)' : '');
    }

    function remember() {
        var parts = ['layer=' + at.layer, 'head=' + at.head, 'token=' + at.token];
        CHOICES.forEach(function (name) {
            if (name in changed) parts.push(name + '=' + changed[name]);
        });
        try {
            history.replaceState(null, '', '#' + parts.join('&'));
        } catch (ignored) { // some browsers refuse this for a file; the page works without
        }
    }

    function show() {
        var c = compute();
        document.querySelectorAll('.pair[aria-current]').forEach(function (pair) {
            pair.removeAttribute('aria-current');
        });
        pairOf(at.layer, at.head).setAttribute('aria-current', 'true');
        byId('which').textContent = 'layer ' + at.layer + ', head ' + at.head;
        byId('state').hidden = !c;
        showControls(c);
        if (!c) return showPictures();
        view.look = function (t, j) { showRow(c, t, j); };
        showMaps(c);
        showRow(c, at.token, at.key);
        showState(c, at.token);
    }

    function choose(t, j) {
        at.token = t;
        at.key = Math.min(j === undefined ? at.key : j, t);
        remember();
        show();
    }

    function look(t, j) {
        if (t < 0) {
            t = at.token;
            j = at.key;
        }
        mark(t, j === undefined ? Math.min(at.key, t) : j);
        if (view.look) view.look(t, j === undefined ? Math.min(at.key, t) : j);
    }

    var COUNTS = {layer: true, head: true, token: true, features: true, window: true, sinks: true};

    // "#layer=1&head=2&map=trig": what a link or the address asks for.
    function follow() {
        var wanted = new URLSearchParams(location.hash.slice(1));
        if (!wanted.has('layer')) return false;
        var where = {}, names = ['layer', 'head', 'token'];
        changed = {};
        wanted.forEach(function (value, name) {
            if (COUNTS[name] ? !/^\d+$/.test(value) : false) return;
            if (names.indexOf(name) >= 0) where[name] = Number(value);
            else if (name === 'seed' ? /^\d+$/.test(value) : CHOICES.indexOf(name) >= 0)
                changed[name] = COUNTS[name] ? Number(value) : value;
        });
        if (!pairOf(where.layer, where.head)) return false;
        at.layer = where.layer;
        at.head = where.head;
        if (where.token < T) choose(where.token);
        else show();
        return true;
    }

    function listen() {
        byId('token').addEventListener('input', function () { choose(Number(this.value)); });
        CHOICES.forEach(function (name) {
            byId(name).addEventListener('input', function () {
                changed[name] = COUNTS[name] ? Number(this.value) : this.value;
                if (this.value === 'stored')
                    ['features', 'seed', 'projection'].forEach(function (n) { delete changed[n]; });
                else if (changed.map === 'stored') delete changed.map;
                remember();
                show();
            });
        });
        byId('controls').addEventListener('submit', function (event) { event.preventDefault(); });
        byId('reset').addEventListener('click', function () {
            changed = {};
            remember();
            show();
        });
        document.querySelector('.maps').addEventListener('click', function (event) {
            var pair = event.target.closest('.pair');
            if (!pair) return;
            event.preventDefault();
            at.layer = Number(pair.dataset.layer);
            at.head = Number(pair.dataset.head);
            remember();
            show();
            byId('one').scrollIntoView();
        });
        window.addEventListener('hashchange', follow);
        window.addEventListener('resize', function () {
            view.softmax.layOut();
            view.favor.layOut();
            show();
        });
    }

    // Playing: one token after the other.
    function play() {
        var button = byId('play'), timer = 0;
        function stop() {
            clearInterval(timer);
            timer = 0;
            button.textContent = 'Play the text';
        }
        button.addEventListener('click', function () {
            if (timer) return stop();
            if (at.token === T - 1) choose(0);
            button.textContent = 'Stop';
            timer = setInterval(function () {
                if (at.token < T - 1) choose(at.token + 1);
                if (at.token === T - 1) stop();
            }, 400);
        });
    }

    // For tests: the numbers of the row at hand.
    window.explained = function () {
        var c = compute(), t = at.token, size = c.run.M;
        var said = {layer: at.layer, head: at.head, token: t, settings: c.settings,
            softmax: Array.from(rowOf(c.head.softmax, t)),
            favor: Array.from(rowOf(c.run.weights, t)),
            scores: Array.from(rowOf(c.head.scores, t)),
            out_softmax: Array.from(M.output(c.head.softmax, c.head.v, T, D, t)),
            out_favor: Array.from(M.output(c.run.weights, c.head.v, T, D, t))};
        if (!size) return said;
        var state = M.state(c.run, c.head.v, t);
        return Object.assign(said, {phi_q: vector(c.run.phiQ, t, size),
            phi_k: vector(c.run.phiK, t, size), phi_q_log_scale: c.run.qScale[t],
            phi_k_log_scales: Array.from(c.run.kScale), running_maximum: state.c,
            z: Array.from(state.z), S_first_row: Array.from(state.S.subarray(0, D))});
    };

    byId('controls').hidden = false;
    byId('strip').hidden = byId('arcs-legend').hidden = false;
    view.softmax = new draw.LargeMap(byId('softmax-map'), data.tokens, 'Map under softmax',
        {look: look, choose: choose});
    view.favor = new draw.LargeMap(byId('favor-map'), data.tokens, 'Map under Performer attention',
        {look: look, choose: choose});
    view.strip = new draw.Strip(byId('strip'), data.tokens, {look: look, choose: choose});
    listen();
    play();
    if (!follow()) show();
})();
