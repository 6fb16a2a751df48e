"""tests/check_looks.py PAGE.html NAME - how a page looks in Chromium: wide, narrow, light, dark.

Measures the contrast of every text with what is behind it, its size, and the width of the page;
asks the accessibility tree for controls without a name, and the console for errors. Prints
"ok WHAT" or "not ok WHAT: DETAIL", one line each.
"""
import sys

from browser import Browser


def say(good, what, detail=""):
    print(("ok " + what) if good else "not ok %s: %s" % (what, " ".join(str(detail).split())[:600]))
    sys.stdout.flush()


SEEN = """
(function () {
    var problems = [];
    function luminance(c) {
        return [0.2126, 0.7152, 0.0722].reduce(function (sum, weight, i) {
            var x = c[i] / 255;
            return sum + weight * (x <= 0.03928 ? x / 12.92 : Math.pow((x + 0.055) / 1.055, 2.4));
        }, 0);
    }
    function colour(text) {
        var c = text.match(/[0-9.]+/g).map(Number), unit = text.indexOf('color(') === 0 ? 255 : 1;
        return [c[0] * unit, c[1] * unit, c[2] * unit, c.length < 4 ? 1 : c[3]];
    }
    function behind(e) {
        var layers = [];
        for (; e; e = e.parentElement) layers.push(colour(getComputedStyle(e).backgroundColor));
        return layers.reverse().reduce(function (under, c) {
            return [0, 1, 2].map(function (i) { return c[i] * c[3] + under[i] * (1 - c[3]); });
        }, [255, 255, 255]);
    }
    var walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), node;
    while ((node = walker.nextNode())) {
        var e = node.parentElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
        if (!node.data.trim() || !box.width || style.visibility === 'hidden') continue;
        if (e.closest('script, style, noscript, option')) continue;
        if (e.matches(':disabled, :disabled *')) continue;
        var svg = e.namespaceURI.indexOf('svg') > 0;
        var front = luminance(colour(svg ? style.fill : style.color)), back = luminance(behind(e));
        var ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
        if (ratio < 4.5)
            problems.push(ratio.toFixed(2) + ': ' + node.data.trim().slice(0, 30));
        if (svg ? false : parseFloat(style.fontSize) < 11)
            problems.push(style.fontSize + ' ' + node.data.trim().slice(0, 30));
    }
    var page = document.documentElement;
    if (page.scrollWidth > page.clientWidth)
        problems.push('the page is ' + page.scrollWidth + ' pixels wide');
    return Array.from(new Set(problems)).slice(0, 8).join('; ');
})()
"""


def unnamed(page):
    """Controls without a name, from the browser's accessibility tree."""
    needs = {"button", "link", "slider", "combobox", "textbox", "spinbutton", "image", "img",
             "application", "group", "form", "checkbox"}
    found = []
    for node in page.call("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if role in needs and not node.get("ignored") and not node.get("name", {}).get("value"):
            found.append(role)
    return found


def look(browser, path, name):
    for width in 1280, 400:
        for dark in False, True:
            where = "%s, %d pixels, %s" % (name, width, "dark" if dark else "light")
            page = browser.open(path, width=width, dark=dark)
            seen = page.evaluate(SEEN)
            say(seen == "", where + ": contrast, sizes and width", seen)
            found = unnamed(page)
            say(found == [], where + ": every control has a name", found)
            say(page.errors == [], where + ": no errors on the console", page.errors)
            page.close()


if __name__ == "__main__":
    with Browser() as the_browser:
        look(the_browser, *sys.argv[1:3])
