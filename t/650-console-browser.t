#!/usr/bin/env python3
"""The console in a real browser: a headless Chromium.

First with answers that are made here, so that every state is seen; then with
a real nginx, source and target.  CDC_PICTURES=directory keeps what was seen.

usage: 650-console-browser.t
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, 'lib', 'python'))

from tap import Suite                      # goes on in the testbed's Python

import progress                                             # noqa: E402
from browser import Browser                                 # noqa: E402
from process import wait_for                                # noqa: E402
from testbed import Testbed                                 # noqa: E402

WIDE, NARROW = (1400, 1000), (360, 800)
TOKEN = "root:Mil'vus\"1"


class Console(Suite):
    def __init__(self):
        super().__init__()
        self.bed = Testbed(say=None)
        self.pictures = os.environ.get('CDC_PICTURES')
        with open(os.path.join(HERE, 'lib', 'python', 'audit.js')) as f:
            self.audit_js = f.read()

    def __exit__(self, *about):
        try:
            self.bed.close()
        finally:
            return super().__exit__(*about)

    def start(self):
        log = 'kafka %s;' % os.environ.get('TEST_CDC_KAFKA', '127.0.0.1:1')
        if os.environ.get('TEST_CDC_ROCKSMQ'):
            log = 'rocksmq %s;' % os.environ['TEST_CDC_ROCKSMQ']
        self.nginx = self.bed.add_nginx(sources={'main': '\n'.join([
            'etcd %s;' % os.environ.get('TEST_CDC_ETCD',
                                        'http://127.0.0.1:1'),
            'root_path by-dev;', 'meta_path meta;',
            'replicate_channel by-dev-replicate-msg;', log])})
        self.url = self.nginx.uri + '/cdc/ui/'

    # ---- what is looked at

    def show(self, tasks, size=WIDE, dark=False, where=''):
        self.server = progress.Server(tasks)
        self.b.answer(self.nginx.uri + '/cdc', self.server)
        self.b.look(*size, dark)
        self.b.call('Page.navigate', url='about:blank')
        self.b.open(self.url + where)
        self.b.wait('document.querySelector("#task").hidden'
                    ' !== document.querySelector("#empty").hidden')

    def clean(self, name):
        """Nothing wrong on the page as it is; a picture of it."""
        self.same(self.b.run(self.audit_js), [], '%s: no obstacle' % name)
        if self.pictures:
            self.b.picture(os.path.join(
                self.pictures, name.replace(' ', '-') + '.png'), whole=True)

    def sees(self, selector, wanted, name, seconds=10):
        """ok when the text comes to hold what is wanted."""
        try:
            self.b.wait('(document.querySelector(%s)?.innerText ?? "")'
                        '.includes(%s)' % (json.dumps(selector),
                                           json.dumps(wanted)), seconds)
            return self.ok(True, name)
        except Exception:
            return self.ok(False, name, 'seen: %r' % self.b.run(
                'document.querySelector(%s)?.innerText'
                % json.dumps(selector)))

    def focus(self):
        return self.b.run('document.activeElement.id || document.activeElement'
                          '.name || document.activeElement.textContent')

    def texts(self, selector):
        return self.b.run('[...document.querySelectorAll(%s)].filter((n) => '
                          'n.checkVisibility()).map((n) => n.innerText)'
                          % json.dumps(selector))

    def sent(self, kind):
        return [r.get('request_data') for r in self.server.seen
                if r['request_type'] == kind]

    # ---- cases with answers that are made here

    def states(self):
        """a sentence for each state"""
        self.show(progress.every())
        rows = dict(zip(self.texts('#list strong'),
                        self.texts('#list a > span')))
        for name, wanted in (
                ('dr-site', 'Live, 0.'), ('held', 'Held up for 2 min 1'),
                ('nightly', 'Paused for 2 h'), ('silent', 'has not reported'),
                ('copying', 'Copying what is there, 42.3 %'),
                ('behind', 'Catching up, 1'), ('new', 'Starting'),
                ('5f3a90c1d27e4b6688aa0c9e1b2d3f47', 'Stopped 2 h ago: the')):
            self.ok(wanted in rows.get(name, ''), 'task %s: %s' % (
                name, wanted), rows)
        self.same(list(rows)[0], '5f3a90c1d27e4b6688aa0c9e1b2d3f47',
                  'the worst is the first')
        self.ok('3 in trouble' in self.b.run('document.title'),
                'the title counts what is in trouble')
        self.clean('every state')

    def broken(self):
        """the broken part is marked, in words"""
        self.show([progress.held()])
        self.same(self.texts('.line .state'), ['OK', 'OK', 'Broken'],
                  'the target is broken')
        self.same(self.texts('.flow')[1], 'writes\nbroken',
                  'so is the way there')
        self.sees('#task', 'Next try in', 'the next try')
        self.clean('held')
        self.show([progress.stopped()])
        self.same(self.texts('.line .state')[0], 'Broken',
                  'the source is broken')
        self.clean('stopped')
        self.show([progress.silent()])
        self.same(self.texts('.line .state')[1], 'Silent',
                  'the replicator is silent')

    def parked(self):
        """messages that could not be applied"""
        self.show([progress.skipping()])
        self.sees('.sentence', 'Live, but for 2 min 1', 'it goes on')
        self.sees('#parked', 'Insert default.books, it was passed',
                  'what was parked')
        self.ok(not self.b.run('document.querySelector("#task").innerText'
                               '.includes("Next try")'),
                'nobody knows of a next try')
        self.same(self.b.run('[...document.querySelectorAll("#parked button")]'
                             '.every((b) => b.disabled)'), True,
                  'a task that runs has to be paused first')
        self.clean('parked')
        self.b.look(*NARROW, True)
        self.clean('parked narrow dark')
        self.show([progress.poisoned()])
        self.sees('#parked', 'a message, the task stands in front of it',
                  'the one that stops the task')
        self.b.click('[aria-label="Drop message 1"]')
        self.sees('#ask', 'the target lacks what it holds', 'a warning')
        self.sees('#ask pre', '"parked_drop","request_data":{"task_id":'
                  '"poisoned","id":1}', 'as a command')
        self.clean('drop')
        self.b.click('#ask [value=cancel]')
        self.same(self.sent('parked_drop'), [], 'Cancel sends nothing')
        self.b.click('[aria-label="Drop message 1"]')
        self.server.parked[0]['state'] = 'drop'
        self.b.click('#ask [value=go]')
        self.sees('#notice', 'Message 1 of task poisoned is dropped.',
                  'it is said')
        self.same(self.sent('parked_drop'),
                  [{'task_id': 'poisoned', 'id': 1}], 'dropped')
        self.sees('#parked', 'dropped when the task is resumed',
                  'and seen at once', 3)
        self.b.click('[aria-label="Try again message 7"]')
        self.b.click('#ask [value=go]')
        self.sees('#notice', 'Message 7 of task poisoned is to be tried',
                  'it is said')
        self.same(self.sent('parked_retry'),
                  [{'task_id': 'poisoned', 'id': 7}], 'tried again')
        self.show([progress.poisoned(parked=0)])
        self.sees('#parked', 'the task stands in front of it',
                  'also when nginx was started again')
        self.ok(len(self.sent('parked')) < 3, 'a paused task is asked once')
        self.server.tasks = [progress.task('poisoned')]
        self.b.wait('!document.querySelector("#parked").checkVisibility()')
        self.ok(True, 'without any, nothing is shown')

    def looks(self):
        """light and dark, wide and narrow, nothing and much"""
        for name, tasks in (('one', [progress.task()]), ('none', []),
                            ('new', [progress.starting()]),
                            ('many', progress.many()),
                            ('wide', [progress.wide()])):
            self.show(tasks)
            for size in (WIDE, NARROW):
                for dark in (False, True):
                    self.b.look(*size, dark)
                    self.b.pass_time(0.2)
                    self.clean('%s %s %s' % (
                        name, 'wide' if size == WIDE else 'narrow',
                        'dark' if dark else 'light'))

    def plots(self):
        """the plots move"""
        self.show([progress.task()])
        path = ('[...document.querySelectorAll("path.line")].map((p) => '
                'p.getAttribute("d") || "")')
        self.b.wait('%s.every((d) => d.includes("L"))' % path)
        before = self.b.run(path)
        self.b.pass_time(1.5)
        after = self.b.run(path)
        self.ok(all(a != b for a, b in zip(before, after)), 'both lines move',
                (before, after))
        self.ok('last 5 minutes: now 0.' in self.b.run(
            'document.querySelector("figure svg").ariaLabel'),
            'a screen reader is told what they show')
        self.ok(len(self.server.seen) < 12, 'asked once a second')

    def table(self):
        """collections: sorted, filtered"""
        self.show([progress.wide()])
        names = 'tbody tr:not([hidden]) th > span'
        self.same(len(self.texts(names)), 64, '64 rows')
        self.sees('.bar', '64 of 300', 'the others are counted')
        self.same(self.texts(names)[0], 'default.c000_', 'by lag')
        self.b.click('thead th:nth-child(4) button')
        self.same(self.texts(names)[0], 'default.c063_', 'by rows')
        self.b.click('thead th:nth-child(1) button')
        self.b.click('thead th:nth-child(1) button')
        self.ok(self.texts(names)[0].startswith('default.c063'),
                'by name, the last first')
        self.same(self.b.run('document.querySelector("thead th").ariaSort'),
                  'descending', 'the order is said')
        self.b.click('.bar input')
        self.b.type('C00')
        self.same(len(self.texts(names)), 10, 'the filter')
        self.show([progress.task()])
        self.sees('tbody', 'CreatePartition, ', 'the last operation of one')
        self.sees('tbody', ': Socket closed', 'its last error')
        self.same(len([x for x in self.texts('tbody td:last-child')
                       if x == 'none']), 3, 'the others have none')

    def foreign(self):
        """names are text, whatever is in them"""
        bad = '<img src=x onerror=document.title=1>'
        self.show([progress.task(bad, source={'name': bad, 'kind': bad,
                                              'ok': True},
                                 events=[progress.event(1, 'failed', bad)],
                                 collections=[progress.collection(bad)]),
                   progress.held()], where='#%3Cimg')
        self.b.click('#list a:not(.held)')
        self.sees('#task h2', bad, 'the name of a task')
        self.same(self.b.run('document.images.length'), 0, 'no element of it')
        for code in ('document.body.innerHTML += "<p>"',
                     'eval("1")', 'new Function("1")'):
            try:
                self.b.run(code, allowUnsafeEvalBlockedByCSP=False)
                self.ok(False, 'the policy stops %s' % code)
            except Exception:
                self.ok(True, 'the policy stops %s' % code)
        self.b.problems.clear()

    def away(self):
        """a server that does not answer"""
        self.show([progress.task()])
        self.server.failing = 503, {'code': 503, 'message': 'not ready yet'}
        self.sees('#alarm', 'Not ready yet. What is shown is from',
                  'it is said')
        self.clean('away')
        self.server.failing = None
        self.b.wait('!document.querySelector("#alarm").innerText')
        self.ok(not self.b.run('document.body.classList.contains("stale")'),
                'and it goes on')
        self.server.tasks = [progress.held()]
        self.server.tasks[0]['task_id'] = 'dr-site'
        self.b.wait('document.querySelector("#said").textContent'
                    '.includes("dr-site is held up")')
        said = self.b.run('document.querySelector("#said").textContent')
        self.b.pass_time(2.2)
        self.same(self.b.run('document.querySelector("#said").textContent'),
                  said, 'a change is announced once, and no number after it')
        self.b.problems.clear()                # Chromium notes each 503

    def keyboard(self):
        """everything by the keyboard"""
        self.show([progress.task()])
        self.b.key('Tab')
        self.same(self.focus(), 'Skip to the task', 'the first stop')
        self.b.key('Enter')
        self.same(self.focus(), 'main', 'it skips')
        self.b.key('Tab')
        self.same(self.focus(), 'Pause', 'then the buttons')
        self.b.key('Enter')
        self.same(self.focus(), 'Cancel', 'a question begins with Cancel')
        self.clean('question')
        for _ in range(6):
            self.b.key('Tab')
            if self.focus() not in ('Cancel', 'Pause', 'Copy') \
                    and not self.focus().startswith('curl') \
                    and self.b.run('document.activeElement !== document.body'):
                self.ok(False, 'Tab stays in the question', self.focus())
        self.b.key('Escape')
        self.same(self.focus(), 'Pause', 'Escape goes back')
        self.same(self.sent('pause'), [], 'nothing was sent')

    def actions(self):
        """pause, resume, delete"""
        self.show([progress.task("it's")])
        self.b.click('[data-action=pause]')
        self.sees('#ask pre', "it'\\''s", 'the command is quoted')
        self.b.click('#ask [value=go]')
        self.sees('#notice', "Task it's is paused.", 'it is said')
        self.same(self.sent('pause'), [{'task_id': "it's"}], 'paused')
        self.show([progress.paused()])
        self.same(self.texts('.head button'), ['Resume', 'Delete'],
                  'a paused task can be resumed')
        self.b.click('[data-action=resume]')
        self.b.click('#ask [value=go]')
        self.sees('#notice', 'resumed', 'it is said')
        self.same(self.sent('resume'), [{'task_id': 'nightly'}], 'resumed')
        self.b.click('[data-action=delete]')
        self.sees('#ask', 'cannot be taken back', 'a warning')
        self.clean('delete')
        self.b.click('#ask [value=cancel]')
        self.same(self.sent('delete'), [], 'Cancel sends nothing')
        self.b.click('[data-action=delete]')
        self.b.click('#ask [value=go]')
        self.sees('#notice', 'deleted', 'it is said')
        self.same(self.sent('delete'), [{'task_id': 'nightly'}], 'deleted')

    def fill(self, **fields):
        for name, value in fields.items():
            selector = '#create [name=%s]' % name
            if value is True:
                self.b.click(selector)
            else:
                self.b.run('document.querySelector(%s).focus()'
                           % json.dumps(selector))
                self.b.run('document.activeElement.select?.()')
                self.b.type(value)

    def secret_left(self):
        return self.b.run('''[document.documentElement.outerHTML,
            ...[...document.querySelectorAll("input")].map((i) => i.value),
            document.cookie, location.href, JSON.stringify(localStorage),
            JSON.stringify(sessionStorage)].join().includes("Mil'vus")''')

    def forgotten(self, name):
        """A dialog's close event comes a moment after it has closed."""
        self.passes(name, wait_for, name, lambda: not self.secret_left(), 5)

    def create(self):
        """the form: both generations, the check, no token kept"""
        self.show([progress.task()])
        self.b.click('#new')
        self.same(self.focus(), 'uri', 'it begins with the address')
        self.b.click('#create [value=go]')
        self.same(self.sent('create'), [], 'an address is needed')
        self.fill(uri='http://10.0.0.2:19530', token=TOKEN)
        shell = self.b.text('#create pre')
        self.ok('Mil' not in shell and '\'"$MILVUS_TOKEN"\'' in shell,
                'the command has no token', shell)
        self.clean('create')
        self.findings()
        self.b.click('#create [value=go]')
        self.sees('#notice', 'is created', 'it is said')
        wanted = {'milvus_connect_param': {
            'uri': 'http://10.0.0.2:19530', 'token': TOKEN,
            'connect_timeout': 10}, 'collection_infos': [{'name': '*'}]}
        self.same(self.sent('create'), [wanted], 'current form')
        self.same(self.sent('check'), [wanted], 'the check asks the same')
        self.forgotten('nothing is left of the token')
        self.b.click('#new')
        self.b.click('#create [name=form][value=host]')
        self.b.click('#create [name=scope][value=some]')
        self.b.click('#create summary')
        self.fill(host='10.0.0.2', username='root', password=TOKEN,
                  enable_tls=True, names='books\nshop.*',
                  exclude='shop.carts', mapping='shop -> store\n'
                  'books -> old.books', task_id='two', ca_pem_path='ca.pem',
                  disable_auto_start=True, use_start_position=True)
        self.b.run('document.querySelector("[name=on_poison]").focus()')
        self.b.key('ArrowDown')
        self.clean('create more')
        self.b.look(*NARROW, True)
        self.clean('create more narrow dark')
        self.b.look(*WIDE)
        self.b.click('#create [value=go]')
        self.b.wait('!document.querySelector("#create").open')
        self.same(self.sent('create')[1:], [{
            'milvus_connect_param': {
                'host': '10.0.0.2', 'port': 19530, 'username': 'root',
                'password': TOKEN, 'enable_tls': True, 'connect_timeout': 10,
                'dial_config': {'ca_pem_path': 'ca.pem'}},
            'db_collections': {
                'default': [{'name': 'books', 'use_start_position': True}],
                'shop': [{'name': '*'}]},
            'disable_auto_start': True, 'task_id': 'two',
            'on_poison': 'skip',
            'exclude_collections': ['shop.carts'],
            'name_mapping': [
                {'source_db': 'shop', 'target_db': 'store'},
                {'source_db': 'default', 'target_db': 'old',
                 'collection_mapping': {'books': 'books'}}]}],
            'earlier form, some collections')
        self.b.click('#new')
        self.fill(token=TOKEN)
        self.b.key('Escape')
        self.b.wait('!document.querySelector("#create").open')
        self.same(self.focus(), 'new', 'Escape goes back to the button')
        self.forgotten('Escape empties the form')

    def findings(self):
        self.server.check = {'ok': False, 'findings': [
            {'check': 'target.reachable', 'ok': True, 'level': 'info',
             'text': '', 'cure': ''},
            {'check': 'target.ttmsg', 'ok': False, 'level': 'error',
             'text': 'the target makes ticks of its own',
             'cure': 'set common.ttMsgEnabled to false'},
            {'check': 'tls', 'ok': False, 'level': 'warning',
             'text': 'the certificate ends in 9 days', 'cure': 'renew it'}]}
        self.b.click('#create [value=check]')
        self.sees('#findings', '1 in the way of this task',
                  'what stands in the way is counted')
        self.ok('Cure: set common.ttMsgEnabled to false'
                in self.b.text('#findings'), 'with the cure')
        self.clean('findings')

    # ---- the real ones

    def cross_site(self, task):
        """a page of another origin changes nothing"""
        # without the console's own policy, which would stop it first
        self.b.open('http://localhost:%d/cdc/health' % self.nginx.port)
        self.b.wait('location.hostname === "localhost"')
        self.b.run('fetch(%s, {method: "POST", mode: "no-cors", body: %s})'
                   '.then(() => 1, () => 1)' % (
                       json.dumps(self.nginx.uri + '/cdc'),
                       json.dumps(json.dumps({
                           'request_type': 'delete',
                           'request_data': {'task_id': task}}))))
        self.same(self.nginx.task(task).get('state'), 'Running',
                  'the task is still there')
        with open(os.path.join(self.nginx.dir, 'access.log')) as f:
            self.ok('"POST /cdc HTTP/1.1" 403' in f.read(),
                    'because the API refused it')

    def real(self):
        """real servers, from the first look to the last"""
        target = os.environ.get('TEST_CDC_TARGET')
        self.needed(target)
        self.b.answer_no_more()
        self.b.look(*WIDE)
        self.b.open(self.url)
        self.sees('#empty', 'No task yet', 'an empty page')
        self.b.click('#first')
        self.fill(uri=target)
        self.b.click('#create summary')
        self.fill(task_id='real')
        self.b.click('#create [value=go]')
        self.sees('#notice', 'Task real is created', 'created', 30)
        self.sees('.sentence', 'Live, 0.', 'it becomes live', 30)
        self.same(self.texts('.line .state'), ['OK'] * 3, 'all is well')
        self.sees('.events', 'created', 'what happened')
        self.clean('real')
        again = [r for r in self.b.requests if r[1].endswith('app.js')]
        self.b.open(self.url)
        self.ok(again, 'the files were asked for')
        self.b.click('[data-action=pause]')
        self.b.click('#ask [value=go]')
        self.sees('.sentence', 'Paused for', 'paused')
        self.same(self.nginx.task('real').get('state'), 'Paused',
                  'says the API too')
        self.b.click('[data-action=resume]')
        self.b.click('#ask [value=go]')
        self.sees('.sentence', 'Live', 'live again', 30)
        self.cross_site('real')
        self.b.open(self.url)
        self.b.click('[data-action=delete]')
        self.b.click('#ask [value=go]')
        self.sees('#empty', 'No task yet', 'deleted')
        self.b.problems[:] = [p for p in self.b.problems if '403' not in p
                              and 'favicon' not in p]

    def run(self):
        self.start()
        cases = (self.states, self.broken, self.parked, self.looks,
                 self.plots, self.table, self.foreign, self.away,
                 self.keyboard, self.actions, self.create, self.real)
        wanted = sys.argv[1:]
        with Browser() as self.b:
            for case in cases:
                if wanted and case.__name__ not in wanted:
                    continue
                self.note(case.__doc__)
                case()
                self.same(self.b.problems, [], '%s: the browser has nothing '
                          'to complain of' % case.__name__)
                self.b.problems.clear()
            others = {url for _, url, _ in self.b.requests
                      if not url.startswith((self.nginx.uri, 'data:', 'about:',
                                             'http://localhost:'))}
            self.same(others, set(), 'no other host was asked')


with Console() as t:
    t.run()
