// Drawing for the page of `explain --html`: maps, bars, heat maps, tokens and arcs, all as SVG.
// The Makefile embeds this file. ASCII only.
var PerformerDraw = (function () {
    'use strict';

    var SVG = 'http://www.w3.org/2000/svg';
    var BLUE = [52, 131, 226], ORANGE = [217, 84, 30];

    function make(name, attributes, parent) {
        var e = document.createElementNS(SVG, name);
        Object.keys(attributes).forEach(function (key) { e.setAttribute(key, attributes[key]); });
        if (parent) parent.appendChild(e);
        return e;
    }

    function element(name, className, parent, text) {
        var e = document.createElement(name);
        if (className) e.className = className;
        if (text !== undefined) e.textContent = text;
        if (parent) parent.appendChild(e);
        return e;
    }

    // A token as it is shown: white space must be seen.
    function shown(token) {
        var text = token.replace(/\n/g, '\u21b5').replace(/\t/g, '\u21e5');
        return /^ *$/.test(text) ? text.replace(/ /g, '\u2423') : text;
    }

    function cut(token) {
        var characters = Array.from(shown(token).trim());
        return characters.length > 11 ? characters.slice(0, 10).join('') + '\u2026'
            : characters.join('');
    }

    // The address of a picture [height, width] whose pixels are strength(x, y), -1 to 1.
    function picture(width, height, strength) {
        var canvas = document.createElement('canvas');
        canvas.width = width;
        canvas.height = height;
        var context = canvas.getContext('2d'), image = context.createImageData(width, height);
        for (var y = 0; y < height; y++)
            for (var x = 0; x < width; x++) {
                var s = strength(x, y), colour = s < 0 ? ORANGE : BLUE, i = 4 * (y * width + x);
                for (var c = 0; c < 3; c++) image.data[i + c] = colour[c];
                image.data[i + 3] = Math.min(255, Math.round(255 * Math.abs(s)));
            }
        context.putImageData(image, 0, 0);
        return canvas.toDataURL();
    }

    // ---- A large map with the text on both sides. on.look(t, j): the pointer or a key is at the
    // cell, or has left (t < 0); on.choose(t): row t was clicked.
    function LargeMap(box, tokens, name, on) {
        var T = tokens.length, self = this, letters = 11;
        var cell, gutter, svg, image, rowMark, columnMark, cellMark, labels;
        this.t = T - 1;
        this.j = T - 1;
        this.address = '';
        box.tabIndex = 0;
        box.setAttribute('role', 'application');
        box.setAttribute('aria-roledescription', 'attention map');
        box.setAttribute('aria-label', name + ': arrow keys choose a cell');

        function label(t, isRow) {
            var at = gutter + (t + 0.5) * cell, text = make('text', {
                'class': 'tick', 'text-anchor': 'end',
                'transform': isRow ? 'translate(' + (gutter - 5) + ' ' + (at + 4) + ')'
                    : 'translate(' + (at + 4) + ' ' + (gutter - 5) + ') rotate(90)'
            }, svg);
            text.textContent = cut(tokens[t]);
            return text;
        }

        // Labels of the row and column at hand always show; neighbours that they hide do not.
        function showLabels() {
            var every = Math.ceil((letters + 1) / cell);
            labels.forEach(function (pair, t) {
                [self.t, self.j].forEach(function (current, side) {
                    var near = Math.abs(t - current) * cell < letters + 1;
                    var visible = t === current || (t % every === 0 && !near);
                    pair[side].style.display = visible ? '' : 'none';
                    pair[side].classList.toggle('current', t === current);
                });
            });
        }

        this.layOut = function () {
            var width = Math.max(240, box.clientWidth);
            gutter = width < 360 ? 64 : 80;
            cell = (width - gutter - 8) / T; // room for the last label
            box.textContent = '';
            svg = make('svg', {'viewBox': '0 0 ' + width + ' ' + width, 'width': width,
                'height': width, 'aria-hidden': 'true'}, box);
            var side = T * cell, frame = {'x': gutter, 'y': gutter, 'width': side, 'height': side};
            labels = tokens.map(function (token, t) { return [label(t, true), label(t, false)]; });
            make('rect', Object.assign({'class': 'frame'}, frame), svg);
            image = make('image', Object.assign({'href': self.address,
                'preserveAspectRatio': 'none'}, frame), svg);
            rowMark = make('rect', {'class': 'at', 'x': gutter, 'width': side, 'height': cell},
                svg);
            columnMark = make('rect', {'class': 'at', 'y': gutter, 'height': side, 'width': cell},
                svg);
            cellMark = make('rect', {'class': 'cell', 'width': cell, 'height': cell}, svg);
            self.mark(self.t, self.j);
        };

        this.show = function (address) {
            self.address = address;
            image.setAttribute('href', address);
        };

        this.mark = function (t, j) {
            self.t = t;
            self.j = Math.min(j, t);
            rowMark.setAttribute('y', gutter + t * cell);
            columnMark.setAttribute('x', gutter + self.j * cell);
            cellMark.setAttribute('x', gutter + self.j * cell);
            cellMark.setAttribute('y', gutter + t * cell);
            showLabels();
        };

        function cellAt(event) {
            var r = svg.getBoundingClientRect();
            var t = Math.floor((event.clientY - r.top - gutter) / cell);
            var j = Math.floor((event.clientX - r.left - gutter) / cell);
            return t >= 0 && j >= 0 && t < T && j < T ? [t, Math.min(j, t)] : null;
        }

        box.addEventListener('pointermove', function (event) {
            var at = cellAt(event);
            if (at) on.look(at[0], at[1]);
        });
        box.addEventListener('pointerleave', function () { on.look(-1, -1); });
        box.addEventListener('click', function (event) {
            var at = cellAt(event);
            if (at) on.choose(at[0], at[1]);
        });
        box.addEventListener('keydown', function (event) {
            var steps = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1],
                ArrowRight: [0, 1], Home: [0, -T], End: [0, T]};
            var step = steps[event.key];
            if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
            event.preventDefault();
            var t = Math.max(0, Math.min(T - 1, self.t + step[0]));
            on.choose(t, Math.max(0, Math.min(t, self.j + step[1])));
        });
        this.layOut();
    }

    // ---- Bars, scaled to the largest; the drawing of an existing figure is replaced.
    function bars(svg, values, wide, high) {
        var most = 0, least = 0, path = '', n = values.length, step = wide / n;
        values.forEach(function (x) {
            most = Math.max(most, Math.abs(x));
            least = Math.min(least, x);
        });
        var zero = least < 0 ? high / 2 : high, scale = most > 0 ? zero / most : 0;
        values.forEach(function (x, i) {
            path += 'M' + (step * i).toFixed(1) + ' ' + zero + 'h' + (0.8 * step).toFixed(1) +
                'V' + (zero - scale * x).toFixed(1) + 'h' + (-0.8 * step).toFixed(1) + 'z';
        });
        svg.textContent = '';
        make('path', {'d': path}, svg);
    }

    // ---- The text as buttons, with what one token takes from the others as bars under them and as
    // arcs: softmax above the line, Performer below. on.look(t) and on.choose(t) as above.
    function Strip(box, tokens, on) {
        var self = this, drawing, line, buttons;
        this.t = 0;

        function arc(from, to, above, weight) {
            var x1 = from.offsetLeft + from.offsetWidth / 2;
            var x2 = to.offsetLeft + to.offsetWidth / 2;
            var y1 = from.offsetTop, y2 = to.offsetTop, sign = above ? -1 : 1;
            if (!above) {
                y1 += from.offsetHeight;
                y2 += to.offsetHeight;
            }
            var lift = sign * (y1 === y2 ? Math.min(34, 8 + Math.abs(x2 - x1) / 6) : 26);
            make('path', {
                'class': above ? 'softmax' : 'favor', 'stroke-width': (1 + 7 * weight).toFixed(2),
                'stroke-opacity': Math.min(0.85, 0.25 + 1.5 * weight).toFixed(2),
                'd': 'M' + x1 + ' ' + y1 + 'C' + x1 + ' ' + (y1 + lift) + ' ' + x2 + ' ' +
                    (y2 + lift) + ' ' + x2 + ' ' + y2
            }, drawing);
        }

        // softmax, favor: weights of row t
        this.show = function (t, softmax, favor) {
            self.t = t;
            drawing.textContent = '';
            buttons.forEach(function (button, j) {
                var taken = [softmax[j] || 0, favor[j] || 0];
                button.classList.toggle('later', j > t);
                button.setAttribute('aria-pressed', String(j === t));
                button.tabIndex = j === t ? 0 : -1;
                taken.forEach(function (weight, side) {
                    button.lastChild.children[side].style.width =
                        Math.round(100 * Math.min(1, Math.sqrt(Math.abs(weight)))) + '%';
                    if (j !== t && Math.abs(weight) >= 0.02)
                        arc(buttons[t], button, side === 0, Math.min(1, Math.abs(weight)));
                });
            });
        };

        function move(event) {
            var step = {ArrowLeft: -1, ArrowRight: 1, Home: -tokens.length, End: tokens.length};
            if (!(event.key in step) || event.ctrlKey || event.metaKey || event.altKey) return;
            event.preventDefault();
            var t = Math.max(0, Math.min(tokens.length - 1, self.t + step[event.key]));
            on.choose(t);
            buttons[t].focus();
        }

        box.textContent = '';
        drawing = make('svg', {'class': 'arcs', 'aria-hidden': 'true'}, box);
        line = element('div', 'tokens', box);
        line.setAttribute('role', 'group');
        line.setAttribute('aria-label', 'The text: choose a token; arrow keys move');
        buttons = tokens.map(function (token, t) {
            var button = element('button', 'word', line), weights;
            button.type = 'button';
            element('span', 'text', button, shown(token));
            weights = element('span', 'weights', button);
            element('i', 'softmax', weights);
            element('i', 'favor', weights);
            button.addEventListener('pointerenter', function () { on.look(t); });
            button.addEventListener('pointerleave', function () { on.look(-1); });
            button.addEventListener('click', function () { on.choose(t); });
            return button;
        });
        line.addEventListener('keydown', move);
    }

    return {make: make, element: element, shown: shown, picture: picture, bars: bars,
        LargeMap: LargeMap, Strip: Strip};
})();
