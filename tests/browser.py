"""tests/browser.py - drives Chromium by the DevTools protocol, over a pipe: no packages needed.

    with Browser() as browser:
        page = browser.open("/tmp/page.html", width=400, dark=True)
        page.evaluate("document.title")      page.press("ArrowRight")
        page.screenshot("page.png")          page.errors

From the command line it takes screenshots and says what went to the console:

    python3 tests/browser.py PAGE.html[#HASH] OUT.png [WIDTH [HEIGHT [dark|light [full]]]]
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "Enter": 13,
        "End": 35, "Home": 36}


def find():
    """The path of a Chromium, or None."""
    for name in "chromium", "chromium-browser", "google-chrome":
        path = shutil.which(name)
        if path:
            return path
    return None


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp()
        to_browser, self.out = os.pipe()
        self.incoming, from_browser = os.pipe()

        def wire():  # the protocol's ends are descriptors 3 and 4
            ends = os.dup(to_browser), os.dup(from_browser)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [find(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--user-data-dir=" + self.profile, "--no-first-run",
             "--hide-scrollbars", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=wire, close_fds=False)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.last, self.events = b"", 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
        except (OSError, RuntimeError):
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def read(self):
        """The next message."""
        while b"\0" not in self.buffer:
            piece = os.read(self.incoming, 1 << 20)
            if not piece:
                raise RuntimeError("the browser has gone away")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(method + ": " + answer["error"]["message"])
                return answer["result"]
            self.events.append(answer)

    def open(self, path, width=1280, height=900, dark=False, script=True, media=""):
        return Page(self, path, width, height, dark, script, media)


class Page:
    def __init__(self, browser, path, width, height, dark, script, media):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target,
                                    flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Accessibility":
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        if not script:
            self.call("Emulation.setScriptExecutionDisabled", value=True)
        self.go(path)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def go(self, path):
        name, mark, fragment = path.partition("#")
        self.call("Page.navigate", url="file://" + os.path.abspath(name) + mark + fragment)
        while not any(e.get("method") == "Page.loadEventFired" and
                      e.get("sessionId") == self.session for e in self.browser.events):
            self.browser.events.append(self.browser.read())
        self.browser.events = [e for e in self.browser.events
                               if e.get("method") != "Page.loadEventFired"]

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
        self.browser.events = [e for e in self.browser.events
                               if e.get("sessionId") != self.session]

    def evaluate(self, expression):
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def press(self, key):
        """A key as a user presses it, where the focus is."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in "keyDown", "keyUp":
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=KEYS[key], **text)
        self.settle()

    def point(self, x, y, click=False):
        """Moves the mouse there, in pixels of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def settle(self):
        """Waits for the next frame."""
        self.evaluate("new Promise(function (f) { requestAnimationFrame(function () { f(1); }); })")

    def screenshot(self, path, full=False):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=full)["data"] if not full \
            else self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=dict(
                self.call("Page.getLayoutMetrics")["cssContentSize"], scale=1))["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    @property
    def errors(self):
        """What went wrong so far: exceptions, console.error, and what the browser refused."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            what, more = event.get("method"), event.get("params", {})
            if what == "Runtime.exceptionThrown":
                details = more["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif what == "Runtime.consoleAPICalled" and more["type"] in ("error", "warning"):
                found.append(str([a.get("value") for a in more["args"]]))
            elif what == "Log.entryAdded" and more["entry"]["level"] in ("error", "warning"):
                found.append(more["entry"]["text"])
        return found


def main():
    path, out = sys.argv[1:3]
    width, height, scheme, full = (sys.argv[3:] + ["1280", "900", "light", ""][len(sys.argv) - 3:])
    with Browser() as browser:
        page = browser.open(path, int(width), int(height), scheme == "dark")
        page.settle()
        page.screenshot(out, full == "full")
        print("\n".join(page.errors))


if __name__ == "__main__":
    main()
