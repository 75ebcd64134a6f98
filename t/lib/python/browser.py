"""A headless Chromium, driven over its debugging pipe.

    with Browser() as b:
        b.open('http://127.0.0.1:8080/cdc/ui/')
        b.wait('document.querySelector("h1")')

The protocol is JSON with a NUL behind each message, on the descriptors 3 and
4 of the browser: no port, and no library.  Requests that a page sends can be
answered here (answer()), so that a page is seen in states that real servers
are in only now and then.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PROGRAMS = ('chromium-headless-shell', 'chromium')


class BrowserError(Exception):
    pass


class Browser:
    def __init__(self):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if program is None:
            raise BrowserError('no %s is installed' % ' or '.join(PROGRAMS))
        self.dir = tempfile.mkdtemp(prefix='cdc-browser-')
        self.number = 0
        self.buffer = b''
        self.problems = []       # what the page logged as an error
        self.requests = []       # (method, address, body) that it sent
        self.answers = None
        self.session = None
        ours, theirs = os.pipe(), os.pipe()
        self.out, self.inn = ours[1], theirs[0]
        self.process = self.start(program, ours[0], theirs[1])
        os.close(ours[0])
        os.close(theirs[1])
        target = self.call('Target.createTarget',
                           url='about:blank')['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target,
                                 flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network', 'Accessibility'):
            self.call(domain + '.enable')

    def start(self, program, reads, writes):
        def pipes():
            # out of the way first: either may be 3 or 4
            high = os.dup2(reads, 30), os.dup2(writes, 31)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        return subprocess.Popen(
            [program, '--headless', '--no-sandbox', '--disable-gpu',
             '--remote-debugging-pipe', '--user-data-dir=' + self.dir,
             '--no-first-run', '--disable-background-networking',
             '--disable-component-update', '--disable-dev-shm-usage',
             '--disable-extensions', '--no-pings', '--mute-audio',
             '--force-color-profile=srgb', '--font-render-hinting=none',
             '--lang=en-US', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, preexec_fn=pipes, close_fds=False,
            env=dict(os.environ, HOME=self.dir, XDG_CACHE_HOME=self.dir))

    def __enter__(self):
        return self

    def __exit__(self, *about):
        self.close()

    def close(self):
        try:
            self.send('Browser.close', {})
        except OSError:
            pass
        for fd in (self.out, self.inn):
            os.close(fd)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- the protocol

    def send(self, method, params):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': params}
        if self.session and not method.startswith(('Browser.', 'Target.')):
            message['sessionId'] = self.session
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self.out, data):]
        return self.number

    def call(self, method, **params):
        number = self.send(method, params)
        end = time.monotonic() + 30
        while True:
            message = self.receive(end)
            if message is None:
                raise BrowserError('%s: no answer' % method)
            if message.get('id') == number:
                if 'error' in message:
                    raise BrowserError('%s: %s' % (
                        method, message['error'].get('message')))
                return message['result']

    def receive(self, end):
        """The next message; None when there is none in time."""
        while b'\0' not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.inn], [], [], left)[0]:
                return None
            data = os.read(self.inn, 1 << 20)
            if not data:
                raise BrowserError('the browser has ended')
            self.buffer += data
        raw, self.buffer = self.buffer.split(b'\0', 1)
        message = json.loads(raw)
        if 'method' in message:
            self.event(message['method'], message['params'])
        return message

    def event(self, method, params):
        if method == 'Runtime.exceptionThrown':
            details = params['exceptionDetails']
            self.problems.append('%s %s' % (
                details.get('text'),
                details.get('exception', {}).get('description', '')))
        elif method == 'Runtime.consoleAPICalled':
            if params['type'] in ('error', 'warning', 'assert'):
                self.problems.append('console: %s' % [
                    a.get('value', a.get('description'))
                    for a in params['args']])
        elif method == 'Log.entryAdded':
            entry = params['entry']
            self.problems.append('%s: %s %s' % (
                entry['source'], entry['text'], entry.get('url', '')))
        elif method == 'Network.requestWillBeSent':
            request = params['request']
            self.requests.append((request['method'], request['url'],
                                  request.get('postData', '')))
        elif method == 'Fetch.requestPaused':
            self.paused(params)

    def paused(self, params):
        """Answers a request by the function that answer() was given."""
        request = params['request']
        result = self.answers(json.loads(request.get('postData') or '{}'))
        if result is None:
            self.send('Fetch.continueRequest',
                      {'requestId': params['requestId']})
            return
        status, body = result
        self.send('Fetch.fulfillRequest', {
            'requestId': params['requestId'], 'responseCode': status,
            'responseHeaders': [{'name': 'Content-Type',
                                 'value': 'application/json'}],
            'body': base64.b64encode(json.dumps(body).encode()).decode()})

    # ---- what a suite does

    def answer(self, pattern, function):
        """function(request) -> (status, answer), or None: the server's."""
        self.answers = function
        self.call('Fetch.enable', patterns=[{'urlPattern': pattern}])

    def answer_no_more(self):
        self.call('Fetch.disable')
        self.answers = None

    def open(self, url):
        self.call('Page.navigate', url=url)
        self.wait('document.readyState === "complete"')

    def run(self, expression, **params):
        """The value of an expression in the page; promises are awaited."""
        result = self.call('Runtime.evaluate', expression=expression,
                           returnByValue=True, awaitPromise=True,
                           userGesture=True, **params)
        if 'exceptionDetails' in result:
            raise BrowserError('%s: %s' % (expression, result[
                'exceptionDetails'].get('exception', {}).get('description')))
        return result['result'].get('value')

    def wait(self, expression, seconds=10):
        """The value as soon as it is true; an error when it stays false."""
        end = time.monotonic() + seconds
        while True:
            value = self.run(expression)
            if value:
                return value
            if time.monotonic() > end:
                raise BrowserError('still false after %d s: %s' % (
                    seconds, expression))
            self.pass_time(0.05)

    def pass_time(self, seconds):
        """What happens meanwhile is taken in."""
        end = time.monotonic() + seconds
        while self.receive(end) is not None:
            pass

    def text(self, selector):
        return self.run('document.querySelector(%s).innerText'
                        % json.dumps(selector))

    def click(self, selector):
        """A real click, on what is seen there."""
        x, y = self.wait('''(() => {
            const node = document.querySelector(%s);
            if (!node) return null;
            node.scrollIntoView({block: 'center'});
            const box = node.getBoundingClientRect();
            return box.width && [box.x + box.width / 2,
                                 box.y + box.height / 2];
        })()''' % json.dumps(selector))
        for kind in ('mousePressed', 'mouseReleased'):
            self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y,
                      button='left', clickCount=1)

    KEYS = {'Tab': 9, 'Enter': 13, 'Escape': 27, 'Space': 32,
            'ArrowDown': 40}

    def key(self, name, shift=False):
        code = self.KEYS[name]
        text = {'Enter': '\r', 'Space': ' '}.get(name, '')
        common = {'key': ' ' if name == 'Space' else name, 'code': name,
                  'windowsVirtualKeyCode': code, 'modifiers': 8 * shift}
        self.call('Input.dispatchKeyEvent', type='keyDown', text=text,
                  **common)
        self.call('Input.dispatchKeyEvent', type='keyUp', **common)

    def type(self, text):
        self.call('Input.insertText', text=text)

    def look(self, width, height, dark=False):
        """The size of the window, and the scheme of the system."""
        self.call('Emulation.setDeviceMetricsOverride', width=width,
                  height=height, deviceScaleFactor=1, mobile=False)
        self.call('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme',
             'value': 'dark' if dark else 'light'}])
        self.call('Emulation.setScrollbarsHidden', hidden=True)

    def picture(self, path, whole=False):
        data = self.call('Page.captureScreenshot', format='png',
                         captureBeyondViewport=whole)['data']
        with open(path, 'wb') as f:
            f.write(base64.b64decode(data))
