// The engine's arithmetic again, for the page of `explain --html`: random numbers, projections,
// features and rows of attention. tests/test_explain_page.sh compares it with `explain --json`.
// Notation as in engine/attention: T tokens, D numbers a head, M features; x = q sqrt(scale).
// The Makefile embeds this file. ASCII only.
var PerformerMath = (function () {
    'use strict';

    // ---- engine/base/rng.c: xoshiro256**, seeded through splitmix64
    var MASK = (1n << 64n) - 1n;

    function splitmix64(state) {
        state.x = (state.x + 0x9E3779B97F4A7C15n) & MASK;
        var z = state.x;
        z = ((z ^ (z >> 30n)) * 0xBF58476D1CE4E5B9n) & MASK;
        z = ((z ^ (z >> 27n)) * 0x94D049BB133111EBn) & MASK;
        return z ^ (z >> 31n);
    }

    function rotateLeft(x, k) {
        return ((x << k) | (x >> (64n - k))) & MASK;
    }

    // seed, stream: BigInt. Returns {uniform, normal}.
    function random(seed, stream) {
        var start = {x: seed & MASK}, spare = null;
        start.x = splitmix64(start) ^ ((stream * 0xD1342543DE82EF95n + 1n) & MASK);
        var s = [0, 1, 2, 3].map(function () { return splitmix64(start); });

        function next() {
            var result = (rotateLeft((s[1] * 5n) & MASK, 7n) * 9n) & MASK;
            var t = (s[1] << 17n) & MASK;
            s[2] ^= s[0];
            s[3] ^= s[1];
            s[1] ^= s[2];
            s[0] ^= s[3];
            s[2] ^= t;
            s[3] = rotateLeft(s[3], 45n);
            return result;
        }

        function uniform() {
            return Number(next() >> 11n) / 9007199254740992;
        }

        function normal() {
            var u, v, size;
            if (spare !== null) {
                u = spare;
                spare = null;
                return u;
            }
            do {
                u = 2 * uniform() - 1;
                v = 2 * uniform() - 1;
                size = u * u + v * v;
            } while (size >= 1 || size === 0);
            var scale = Math.sqrt(-2 * Math.log(size) / size);
            spare = v * scale;
            return u * scale;
        }
        return {uniform: uniform, normal: normal};
    }

    // ---- engine/attention/projection.c
    function dot(a, i, b, j, n) {
        var sum = 0;
        for (var d = 0; d < n; d++) sum += a[i + d] * b[j + d];
        return sum;
    }

    // Gram-Schmidt, twice, on independent normal rows.
    function orthogonalRows(rng, rows, D) {
        var Q = new Float64Array(rows * D), i, j, d;
        for (i = 0; i < rows; i++) {
            for (d = 0; d < D; d++) Q[i * D + d] = rng.normal();
            for (var pass = 0; pass < 2; pass++) {
                for (j = 0; j < i; j++) {
                    var along = dot(Q, i * D, Q, j * D, D);
                    for (d = 0; d < D; d++) Q[i * D + d] -= along * Q[j * D + d];
                }
            }
            var norm = Math.sqrt(dot(Q, i * D, Q, i * D, D));
            for (d = 0; d < D; d++) Q[i * D + d] /= norm;
        }
        return Q;
    }

    function chi(rng, D) {
        var sum = 0;
        for (var d = 0; d < D; d++) {
            var x = rng.normal();
            sum += x * x;
        }
        return Math.sqrt(sum);
    }

    // Omega [m, D].
    function draw(rng, kind, m, D) {
        var omega = new Float32Array(m * D), i, d;
        if (kind === 'iid') {
            for (i = 0; i < m * D; i++) omega[i] = rng.normal();
            return omega;
        }
        for (var first = 0; first < m; first += D) {
            var rows = Math.min(D, m - first), Q = orthogonalRows(rng, rows, D);
            for (i = 0; i < rows; i++) {
                var length = chi(rng, D);
                for (d = 0; d < D; d++) omega[(first + i) * D + d] = length * Q[i * D + d];
            }
        }
        return omega;
    }

    // ---- engine/attention/random_features.c
    // Rows of Omega for M features.
    function projections(map, M) {
        if (map === 'elu') return 0;
        return map === 'hyperbolic' || map === 'trig' ? M / 2 : M;
    }

    // Features as the engine draws them from a seed. `stream`: layer * heads + kv_head * G.
    function drawn(map, M, D, kind, seed, stream) {
        var m = projections(map, M), rng = random(seed, BigInt(stream) << 32n);
        var features = {map: map, M: map === 'elu' ? D : M, omega: draw(rng, kind, m, D)};
        if (map === 'trig-offset') {
            features.bias = new Float32Array(m);
            for (var r = 0; r < m; r++) features.bias[r] = 2 * Math.PI * rng.uniform();
        }
        return features;
    }

    // phi up to exp(log-scale), for exponential maps: u [M] -> exp(u - max). With an epsilon
    // |x|^2/2 stays in the feature (norm_inside).
    function exponentials(u, halfNorm, inside, phi, at) {
        var most = -Infinity, i;
        for (i = 0; i < u.length; i++) most = Math.max(most, u[i]);
        most += inside ? halfNorm : 0;
        for (i = 0; i < u.length; i++) phi[at + i] = Math.exp(u[i] - most);
        return most - halfNorm;
    }

    var rowOf = {
        'positive': function (f, x, u, halfNorm, phi, at) {
            if (f.bias) for (var i = 0; i < u.length; i++) u[i] += f.bias[i];
            return exponentials(u, halfNorm, f.epsilon > 0, phi, at) - Math.log(u.length) / 2;
        },
        'hyperbolic': function (f, x, u, halfNorm, phi, at) {
            var both = new Float64Array(2 * u.length);
            both.set(u);
            for (var i = 0; i < u.length; i++) both[u.length + i] = -u[i];
            return exponentials(both, halfNorm, f.epsilon > 0, phi, at) -
                Math.log(both.length) / 2;
        },
        'trig': function (f, x, u, halfNorm, phi, at) {
            for (var i = 0; i < u.length; i++) {
                phi[at + i] = Math.cos(u[i]);
                phi[at + u.length + i] = Math.sin(u[i]);
            }
            return halfNorm - Math.log(u.length) / 2;
        },
        'trig-offset': function (f, x, u, halfNorm, phi, at) {
            for (var i = 0; i < u.length; i++) phi[at + i] = Math.cos(u[i] + f.bias[i]);
            return halfNorm + Math.log(2 / u.length) / 2;
        },
        'relu': function (f, x, u, halfNorm, phi, at) {
            for (var i = 0; i < u.length; i++) phi[at + i] = Math.max(u[i], 0);
            return -Math.log(u.length) / 2;
        },
        'elu': function (f, x, u, halfNorm, phi, at) {
            for (var d = 0; d < x.length; d++) phi[at + d] = x[d] > 0 ? x[d] + 1 : Math.exp(x[d]);
            return 0;
        },
        'normalized': function (f, x, u, halfNorm, phi, at) {
            var M = f.M, most = -Infinity, sum = 0, i;
            for (i = 0; i < M; i++) most = Math.max(most, u[i] + f.bias[i]);
            for (i = 0; i < M; i++) sum += phi[at + i] = Math.exp(u[i] + f.bias[i] - most);
            for (i = 0; i < M; i++) phi[at + i] /= sum;
            return u[M] + f.bias[M];
        }
    };
    rowOf['favor++'] = rowOf.positive;

    // Features of rows [T, D]: {phi: [T, M], scale: [T]}; phi exp(scale) is what they are.
    function apply(f, rows, T, D, scale) {
        var M = f.M, m = f.omega.length / D, s = Math.sqrt(scale);
        var phi = new Float64Array(T * M), log = new Float64Array(T);
        var x = new Float64Array(D), moved = new Float64Array(D), u = new Float64Array(m), d, i;
        for (var t = 0; t < T; t++) {
            for (d = 0; d < D; d++) x[d] = rows[t * D + d] * s;
            log[t] = f.tilt ? f.tilt_constant + dot(f.tilt, 0, x, 0, D) : 0;
            if (f.center) for (d = 0; d < D; d++) x[d] -= f.center[d];
            if (f.transform) {
                for (d = 0; d < D; d++) moved[d] = dot(f.transform, d * D, x, 0, D);
                x.set(moved);
            }
            for (i = 0; i < m; i++) u[i] = dot(f.omega, i * D, x, 0, D);
            log[t] += rowOf[f.map](f, x, u, dot(x, 0, x, 0, D) / 2, phi, t * M);
            if (f.added) for (i = 0; i < M; i++) phi[t * M + i] += f.added;
        }
        return {phi: phi, scale: log};
    }

    // ---- engine/attention/attention_head.c: sinks, window and tail
    // scores [T, T] up to the diagonal
    function scores(head) {
        var T = head.T, D = head.D, all = new Float64Array(T * T);
        for (var t = 0; t < T; t++)
            for (var j = 0; j <= t; j++) {
                var s = dot(head.q, t * D, head.k, j * D, D) * head.scale;
                all[t * T + j] = head.cap > 0 ? head.cap * Math.tanh(s / head.cap) : s;
            }
        return all;
    }

    // weights [T, T]; a sliding layer sees its window alone
    function softmax(T, all, window) {
        var weights = new Float64Array(T * T);
        for (var t = 0; t < T; t++) {
            var most = -Infinity, sum = 0, first = Math.max(0, t - window + 1), j;
            for (j = first; j <= t; j++) most = Math.max(most, all[t * T + j]);
            for (j = first; j <= t; j++)
                sum += weights[t * T + j] = Math.exp(all[t * T + j] - most);
            for (j = first; j <= t; j++) weights[t * T + j] /= sum;
        }
        return weights;
    }

    var SIGNED = {'trig': true, 'trig-offset': true};

    // What the tail gives to row t: {dots: [t + 1] relative to exp(log), den, log}. Keys that are
    // sinks or in the window have a dot of 0.
    function tailOf(run, t) {
        var M = run.M, T = run.T, dots = new Float64Array(t + 1), last = t - run.window, m, j;
        var den = 0, most = -Infinity, qSum = 0;
        for (j = run.sinks; j <= last; j++) most = Math.max(most, run.kScale[j]);
        for (m = 0; m < M; m++) qSum += run.phiQ[t * M + m];
        for (j = run.sinks; j <= last; j++) {
            dots[j] = dot(run.phiQ, t * M, run.phiK, j * M, M) * Math.exp(run.kScale[j] - most) +
                run.epsilon * qSum;
            if (run.forget > 0) dots[j] *= Math.pow(1 - 1 / run.forget, last - j);
            den += dots[j];
        }
        if (run.epsilon > 0) den += 1e-6 * Math.sqrt(M) * qSum;
        return {dots: dots, den: den, log: run.qScale[t] + most, any: last >= run.sinks};
    }

    // Performer attention of a head. settings: {q, k: features, window, sinks, epsilon, forget}; no
    // features: sinks and window alone. rows: {q, k, v, qPlain, kPlain}.
    function performer(head, settings, all) {
        var T = head.T, D = head.D, phi = settings.q;
        var run = {T: T, D: D, window: settings.window, sinks: settings.sinks,
            epsilon: settings.epsilon, forget: settings.forget, M: phi ? phi.M : 0,
            weights: new Float64Array(T * T), vanished: 0};
        if (phi) {
            var q = apply(phi, head.qPlain || head.q, T, D, head.scale);
            var k = apply(settings.k, head.kPlain || head.k, T, D, head.scale);
            run.phiQ = q.phi;
            run.qScale = q.scale;
            run.phiK = k.phi;
            run.kScale = k.scale;
            run.map = phi.map;
        }
        for (var t = 0; t < T; t++) row(run, t, all);
        return run;
    }

    function row(run, t, all) {
        var T = run.T, at = t * T, first = Math.max(run.sinks, t - run.window + 1), j;
        var most = -Infinity, sum = 0, tail = run.M ? tailOf(run, t) : {any: false};
        var floor = SIGNED[run.map] ? 1e-6 * run.M : 1.1754943508222875e-38;
        var usable = tail.any && tail.den > floor;
        if (tail.any && !usable) run.vanished++;
        if (usable) most = tail.log;
        function exact(j) { return j < run.sinks || j >= first; }
        for (j = 0; j <= t; j++) if (exact(j)) most = Math.max(most, all[at + j]);
        for (j = 0; j <= t; j++) {
            if (exact(j)) run.weights[at + j] = Math.exp(all[at + j] - most);
            else if (usable) run.weights[at + j] = tail.dots[j] * Math.exp(tail.log - most);
            if (exact(j)) sum += run.weights[at + j];
        }
        if (usable) sum += tail.den * Math.exp(tail.log - most);
        if (sum > 0) for (j = 0; j <= t; j++) run.weights[at + j] /= sum;
        else run.weights[at + t] = 1; // nothing to read: the row is the token's own value
    }

    // S [M, D], z [M] and their running maximum c after token t (engine/attention/favor_state.c).
    function state(run, v, t) {
        var M = run.M, D = run.D, S = new Float64Array(M * D), z = new Float64Array(M);
        var last = t - run.window, c = -Infinity;
        for (var j = run.sinks; j <= last; j++) c = Math.max(c, run.kScale[j]);
        for (j = run.sinks; j <= last; j++) {
            var scale = Math.exp(run.kScale[j] - c);
            if (run.forget > 0) scale *= Math.pow(1 - 1 / run.forget, last - j);
            for (var m = 0; m < M; m++) {
                var phi = run.phiK[j * M + m] * scale;
                z[m] += phi;
                for (var d = 0; d < D; d++) S[m * D + d] += phi * v[j * D + d];
            }
        }
        return {S: S, z: z, c: c, keys: Math.max(0, last - run.sinks + 1)};
    }

    // ---- how good an estimate is
    // phi(q_t).phi(k_j) / e^score
    function ratio(run, all, t, j) {
        var M = run.M, product = dot(run.phiQ, t * M, run.phiK, j * M, M);
        return product * Math.exp(run.qScale[t] + run.kScale[j] - all[t * run.T + j]);
    }

    // The standard deviation of that ratio for independent projections (random_features.c), or
    // null if the map does not estimate e^score. x, y: query and key times sqrt(scale).
    function predicted(map, M, head, t, j) {
        var D = head.D, plus = 0, minus = 0;
        for (var d = 0; d < D; d++) {
            var a = head.q[t * D + d], b = head.k[j * D + d];
            plus += (a + b) * (a + b) * head.scale;
            minus += (a - b) * (a - b) * head.scale;
        }
        var away = Math.pow(1 - Math.exp(-minus), 2), variance;
        if (map === 'positive' || map === 'favor++') variance = Math.expm1(plus) / M;
        else if (map === 'hyperbolic')
            variance = (1 - Math.exp(-plus)) * Math.expm1(plus) / M;
        else if (map === 'trig') variance = Math.exp(minus) * away / M;
        else if (map === 'trig-offset') variance = Math.exp(minus) * (1 + away) / 2 / M;
        else return null;
        return {z: plus, sd: Math.sqrt(variance)};
    }

    // Half the sum of |a - b| over row t of two maps of weights.
    function distance(a, b, T, t) {
        var sum = 0;
        for (var j = 0; j <= t; j++) sum += Math.abs(a[t * T + j] - b[t * T + j]);
        return sum / 2;
    }

    // The row's output: sum_j w_j v_j.
    function output(weights, v, T, D, t) {
        var out = new Float64Array(D);
        for (var j = 0; j <= t; j++)
            for (var d = 0; d < D; d++) out[d] += weights[t * T + j] * v[j * D + d];
        return out;
    }

    return {random: random, draw: draw, drawn: drawn, apply: apply, scores: scores,
        softmax: softmax, performer: performer, state: state, ratio: ratio,
        predicted: predicted, distance: distance, output: output};
})();
