"""tests/check_explain_page.py PERFORMER FOLDER [SMOLLM2 TEXT] - `explain --html` in Chromium.

Compares what the page computes with `explain --json`, and uses it as a reader would: links,
sliders, keys, pointer; wide and narrow, light and dark, without scripts. Prints "ok WHAT" or
"not ok WHAT: DETAIL", one line each; tests/test_explain_page.sh turns them into TAP.
"""
import json
import math
import subprocess
import sys

from browser import Browser
from check_looks import look, say

performer, folder = sys.argv[1:3]
FAMILIES = "tests/fixtures/families/"
SOFTMAX, FAVOR = "models/weights/tales-softmax.gguf", "models/weights/tales-favor.gguf"
TEXT = "Once upon a time there was a little dog. She was very"


def run(*arguments):
    done = subprocess.run([performer, "explain", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def make_page(name, *arguments):
    path = "%s/%s.html" % (folder, name)
    run(*arguments, "--html", path, "-q")
    return path


# ---- the page's numbers against the engine's

def difference(page, engine):
    """The largest difference of two lists of numbers, relative to those above 1."""
    if len(page) != len(engine):
        return math.inf
    return max([abs(a - b) / max(1, abs(b)) for a, b in zip(page, engine)] + [0])


def unequal(page, engine, only_weights=False):
    """What differs by more than 1e-4, as text; empty if nothing does."""
    favor, softmax, last = engine["favor"], engine["softmax"], len(engine["tokens"]) - 1
    pairs = [("softmax", page["softmax"], softmax["weights"]),
             ("favor", page["favor"], favor["weights"])]
    if not only_weights:
        pairs += [("scores", page["scores"][:last + 1], softmax["scores"]),
                  ("out softmax", page["out_softmax"], softmax["out"]),
                  ("out favor", page["out_favor"], favor["out"])]
    if "phi_q" in favor and not only_weights:
        top = favor["running_maximum"][last]
        pairs += [(key, page[key], favor[key]) for key in ("phi_q", "phi_k", "z", "S_first_row")]
        pairs += [("phi_q_log_scale", [page["phi_q_log_scale"]], [favor["phi_q_log_scale"]]),
                  ("phi_k_log_scales", page["phi_k_log_scales"], favor["phi_k_log_scales"]),
                  ("c", [page["running_maximum"] or 0], [top or 0])]
    elif "phi_q" in page and not only_weights:
        return "the page has features, the engine none"
    found = [(name, difference(a, b)) for name, a, b in pairs]
    return "; ".join("%s by %.3g" % (n, d) for n, d in found if not d <= 1e-4)


def compare(browser, name, model, where, settings, more=(), text=TEXT):
    """One page, and many settings of its controls."""
    layer, head = where
    base = [model, "--layer", str(layer), "--head", str(head), "--to", "softmax", "-p", text, *more]
    page = browser.open(make_page(name, *base))
    for hash_, options in settings:
        what = "%s %d.%d %s: as the engine" % (name, layer, head, " ".join(options) or "as it ran")
        page.evaluate("location.hash = 'layer=%d&head=%d%s'" % (layer, head, hash_))
        page.settle()
        wrong = unequal(page.evaluate("explained()"), json.loads(run(*base, *options, "--json")))
        say(wrong == "", what, wrong)
    say(page.errors == [], name + ": no errors on the console", page.errors)
    page.close()


def compare_all(browser):
    compare(browser, "tales-softmax", SOFTMAX, (1, 2), [
        ("", []),
        ("&features=16", ["--features", "16"]),
        ("&features=250&seed=7", ["--features", "250", "--attention-seed", "7"]),
        ("&seed=3&projection=iid", ["--attention-seed", "3", "--projection", "iid"]),
        ("&map=hyperbolic", ["--map", "hyperbolic"]),
        ("&map=trig&features=128", ["--map", "trig", "--features", "128"]),
        ("&map=trig-offset&seed=5", ["--map", "trig-offset", "--attention-seed", "5"]),
        ("&map=relu", ["--map", "relu"]), ("&map=elu", ["--map", "elu"]),
        ("&window=4&sinks=2", ["--window", "4", "--sinks", "2"]),
        ("&window=50", ["--window", "50"])])
    compare(browser, "tales-favor", FAVOR, (2, 1), [
        ("", []), ("&seed=9", ["--attention-seed", "9"]), ("&features=32", ["--features", "32"]),
        ("&window=3&sinks=1", ["--window", "3", "--sinks", "1"])])
    compare(browser, "epsilon", SOFTMAX, (0, 3), [("", []), ("&map=relu", ["--map", "relu"])],
            ["--epsilon", "0.01"])
    compare(browser, "forget", SOFTMAX, (3, 0), [("", []), ("&window=2", ["--window", "2"])],
            ["--forget", "4"])
    hat = "the hat and the cat sat on a mat"
    for family in "llama", "qwen2", "gpt2", "gemma2", "gemma3", "llama-sliding":
        compare(browser, family, FAMILIES + family + ".gguf", (1, 1), [("", [])], text=hat)
    fitted = folder + "/fitted.gguf"
    subprocess.run([performer, "calibrate", SOFTMAX, "--file", "models/weights/sample.txt", "-o",
                    fitted, "--window", "4", "--features", "16", "-q"], check=True,
                   stdout=subprocess.DEVNULL)
    compare(browser, "fitted", fitted, (1, 3), [
        ("", []), ("&map=positive&features=16&window=4&seed=3",
                  ["--uncalibrated", "--map", "positive", "--features", "16", "--window", "4",
                   "--attention-seed", "3"])])


def compare_half(browser, model, text):
    """A model too large for whole floats: the chosen head is exact, others nearly so."""
    path = make_page("large", model, "-p", text, "--layer", "3", "--head", "2")
    for layer, head, half, allowed in (3, 2, False, 1e-4), (12, 1, True, 5e-3):
        page = browser.open(path + "#layer=%d&head=%d" % (layer, head))
        said = page.evaluate("document.querySelector('#about').textContent")
        found = page.evaluate("explained()")
        engine = json.loads(run(model, "-p", text, "--layer", str(layer), "--head", str(head),
                                "--json"))
        off = max(difference(found[side], engine[side]["weights"]) for side in ("softmax", "favor"))
        say(off <= allowed and ("half precision" in said) == half,
            "SmolLM2 %d.%d, %s floats: as the engine" % (layer, head, "half" if half else "whole"),
            [off, said])
        page.close()


# ---- the page as a reader uses it

def middle(page, selector):
    return page.evaluate("(function (r) { return [r.x + r.width / 2, r.y + r.height / 2]; })"
                         "(document.querySelector(%s).getBoundingClientRect())"
                         % json.dumps(selector))


def use(browser, path):
    page = browser.open(path)
    last = page.evaluate("explained().token")

    def token():
        return page.evaluate("explained().token")

    def focus(selector):
        page.evaluate("document.querySelector(%s).focus()" % json.dumps(selector))

    focus("#token")
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    say(token() == last - 2, "the slider of the text moves with arrow keys", token())
    seen = page.evaluate("document.querySelector('#row h3').textContent")
    say("token %d," % (last - 2) in seen, "... and the table follows", seen)
    after = page.evaluate("document.querySelector('#after').textContent")
    say("token %d," % (last - 2) in after, "... and the state", after)
    focus("#favor-map")
    page.press("ArrowUp")
    say(token() == last - 3, "arrow keys move on a map", token())
    focus(".word[aria-pressed=true]")
    page.press("ArrowRight")
    say(token() == last - 2, "arrow keys move in the text", token())
    before = page.evaluate("[explained().favor, document.querySelector('#S image').href.baseVal, "
                           "document.querySelector('#favor-map image').href.baseVal, "
                           "document.querySelector('#said').textContent]")
    for control in "features", "seed", "window":
        focus("#" + control)
        page.press("ArrowRight")
        now = page.evaluate("[explained().favor, document.querySelector('#S image').href.baseVal, "
                            "document.querySelector('#favor-map image').href.baseVal, "
                            "document.querySelector('#said').textContent]")
        same = [i for i in range(4) if now[i] == before[i]]
        say(same == [], "the slider %s changes the row, S, the map and the errors" % control, same)
        before = now
    settings = page.evaluate("explained().settings")
    say(settings["features"] == 66 and settings["seed"] == "2" and settings["window"] == 1,
        "... each by one step", settings)
    focus("#reset")
    page.press("Enter")
    settings = page.evaluate("explained().settings")
    say(settings["features"] == 64 and settings["window"] == 0, "a button takes that back",
        settings)
    page.evaluate("document.querySelector('#softmax-map').scrollIntoView({block: 'center'})")
    x, y = middle(page, "#softmax-map image")
    x, y = x - 60, y + 8
    page.point(x, y)
    hovered = page.evaluate("document.querySelector('#row h3').textContent")
    arcs = page.evaluate("document.querySelectorAll('.arcs path').length")
    say("token %d," % token() not in hovered and arcs > 2, "the pointer on a map shows its row",
        [hovered, arcs])
    page.point(x, y, click=True)
    say("token %d," % token() in hovered, "... and a click keeps it", [hovered, token()])
    page.evaluate("document.querySelector('.pair[data-layer=\"3\"]').scrollIntoView()")
    page.point(*middle(page, ".pair[data-layer='3'][data-head='2']"), click=True)
    now = page.evaluate("[explained().layer, explained().head, "
                        "document.querySelector('#which').textContent, location.hash]")
    say(now[:3] == [3, 2, "layer 3, head 2"] and "layer=3&head=2" in now[3],
        "a click on a small map chooses its head", now)
    focus(".pair[data-layer='0'][data-head='1']")
    page.press("Enter")
    now = page.evaluate("explained().layer + '.' + explained().head")
    say(now == "0.1", "... and so does Enter", now)
    page.evaluate("location.hash = 'layer=0&head=1&token=0'")
    page.settle()
    page.evaluate("document.querySelector('#play').click()")
    page.evaluate("new Promise(function (f) { setTimeout(f, 1300); })")
    played = token()
    page.evaluate("document.querySelector('#play').click()")
    say(2 <= played <= 4, "playing moves through the text", played)
    say(page.errors == [], "no errors on the console", page.errors)
    page.close()


# Heads of which only pictures are stored: their weights are read off these.
def pictures(browser, path):
    text = open(path).read()
    begin = text.index('<script type="application/json" id="numbers">') + 45
    end = text.index("</script>", begin)
    data = json.loads(text[begin:end])
    for name in list(data["rows"]):
        if not name.startswith("0."):
            del data["rows"][name]
    less = "%s/less.html" % folder
    with open(less, "w") as file:
        file.write(text[:begin] + json.dumps(data) + text[end:])
    cells = ("Array.from(document.querySelectorAll('#row tbody tr')).map(function (r) { return "
             "[r.children[0].textContent, +r.children[1].textContent, +r.children[2].textContent]"
             "; })")
    whole = browser.open(path + "#layer=2&head=3")
    expected = {name: (a, b) for name, a, b in whole.evaluate(cells)}
    page = browser.open(less + "#layer=2&head=3")
    page.evaluate("new Promise(function (f) { setTimeout(f, 300); })")
    found = page.evaluate(cells)
    off = max([max(abs(a - expected[n][0]), abs(b - expected[n][1])) for n, a, b in found
               if n in expected] + [0])
    say(len(found) > 4 and off < 0.02, "a head with pictures alone: its weights, from these",
        [off, found])
    said = page.evaluate("document.querySelector('#said').textContent")
    say("--layer 2 --head 3 --html" in said, "... and the command that shows all of it", said)
    say(page.errors == [], "... no errors on the console", page.errors)
    page.close()
    whole.close()


def plain(browser, path):
    page = browser.open(path, script=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    shown = page.evaluate("""Array.from(document.querySelectorAll(
        '#next table, .pair, #softmax-map svg, #favor-map svg, #row tbody tr, #phi-q path,'
        + '#S image, #z path, #controls, #strip')).filter(function (e) {
        return e.getBoundingClientRect().height > 0; }).map(function (e) {
        return e.closest('[id]').id; })""")
    missing = [x for x in ("next", "heads", "softmax-map", "favor-map", "row", "phi-q", "S", "z")
               if x not in shown]
    say(missing == [] and "controls" not in shown and "strip" not in shown,
        "without scripts: maps, weights, features and state; no dead controls", [missing, shown])
    page.close()
    page = browser.open(path, media="print")
    shown = page.evaluate("[document.querySelector('#controls').getBoundingClientRect().height, "
                          "document.querySelector('.maps').scrollHeight - "
                          "document.querySelector('.maps').clientHeight]")
    say(shown == [0, 0], "in print: no controls, and no map is cut off", shown)
    page.close()


def next_tokens(browser, path, engine):
    page = browser.open(path)
    cells = page.evaluate("Array.from(document.querySelectorAll('.next tbody tr')).map("
                          "function (r) { return [+r.children[2].textContent, "
                          "+r.children[5].textContent]; })")
    wanted = [[engine[side]["best"][b]["p"] for side in ("softmax", "favor")] for b in range(5)]
    off = max(abs(a - b) for row, other in zip(cells, wanted) for a, b in zip(row, other))
    say(len(cells) == 5 and off <= 1e-4, "the five likeliest next tokens, under both", cells)
    page.close()


def main():
    with Browser() as browser:
        tales = make_page("tales", SOFTMAX, "-p", TEXT, "--layer", "1", "--head", "2")
        next_tokens(browser, tales, json.loads(run(SOFTMAX, "-p", TEXT, "--json")))
        use(browser, tales)
        pictures(browser, tales)
        plain(browser, tales)
        look(browser, tales, "the page")
        compare_all(browser)
        if len(sys.argv) > 4:
            compare_half(browser, *sys.argv[3:5])


main()
