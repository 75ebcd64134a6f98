#!/usr/bin/env python3
"""Users, roles and grants, on clusters that ask for a login.

A target of 2.3 takes no password that was hashed elsewhere: a user has to be
made there by hand, and what belongs to it follows then.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from cases import Cases                                      # noqa: E402
from pymilvus import Role, utility                           # noqa: E402

import compare                                               # noqa: E402
from fixtures import PLAIN                                   # noqa: E402
from process import wait_for                                 # noqa: E402

S = 'source'


def role(name):
    return Role(name, using=S)


def user(name, using=S):
    utility.create_user(name, 'Secret-of-' + name, using=using)


def before(c):
    """Users, roles and grants from before the task."""
    PLAIN.ready(c('x'), S, 30, wait=False)
    c.make_db('db')
    for name in ('alice', 'bob'):
        user(name)
    for name in ('reader', 'writer', 'empty', 'gone'):
        role(name).create()
    role('reader').grant('Collection', c('x'), 'Search')
    role('reader').grant('Collection', '*', 'Query')
    role('reader').grant('Collection', c('y'), 'Query', db_name=c('db'))
    role('writer').grant('Collection', '*', 'Insert', db_name='*')
    role('writer').grant('Global', '*', 'CreateCollection')
    role('writer').grant('Global', '*', '*')
    role('writer').grant('User', '*', 'UpdateUser')
    role('writer').revoke('User', '*', 'UpdateUser')
    role('public').grant('Collection', c('x'), 'GetStatistics')
    role('reader').add_user('alice')
    role('writer').add_user('alice')
    role('reader').add_user('bob')
    role('gone').drop()


def left(missing=()):
    """What differs of users and roles, but for users that cannot be there,
    and whether they are missing indeed."""
    found = compare.differences('source', 'target', rbac=True,
                                databases=())
    wanted = {'cluster: user "%s" is missing on the target' % n
              for n in missing}
    return sorted(f for f in found if not f.startswith('cluster: users of ')
                  and f not in wanted), wanted - set(found)


def agree(t, name, missing=()):
    """All agrees but for these users."""
    try:
        wait_for(name, lambda: left(missing) == ([], set()), 20)
    except Exception:
        return t.ok(False, name, '%s\n%s' % (left(missing),
                                             t.circumstances()))
    return t.ok(True, name)


def agree_wholly(t, name):
    return t.passes(name, wait_for, name, lambda: not compare.differences(
        'source', 'target', rbac=True, databases=()), 20)


def reason(t, task, names):
    """get's reason names these users and no other."""
    wanted = set(names)

    def named():
        text = t.nginx.task(task).get('reason', '')
        return {n for n in ('alice', 'bob', 'carol') if n in text} == wanted

    name = 'the reason names %s' % (', '.join(names) or 'nobody')
    try:
        wait_for(name, named, 20)
    except Exception:
        return t.ok(False, name, t.nginx.task(task))
    return t.ok(True, name)


def carried(t, c):
    before(c)
    status, answer = t.nginx.cdc('create', dict(
        t.target, extra_info={'enable_user_role': True}))
    t.needed(t.same((status, answer.get('code')), (200, 200),
                    'create with enable_user_role'))
    task = answer['data']['task_id']
    warnings = ' '.join(answer['data'].get('warnings', []))
    t.ok('alice' in warnings and 'bob' in warnings and 'root' not in warnings,
         'create names the users that it cannot carry', answer)
    t.ok('Secret-of' not in str(answer) and '$2a$' not in str(answer),
         'and no secret of theirs')
    t.same(t.nginx.cdc('create', dict(
        t.target, task_id=task, extra_info={'enable_user_role': True}))[1],
           answer, 'the same create again has the same answer')
    agree(t, 'roles and grants from before', ('alice', 'bob'))
    reason(t, task, ('alice', 'bob'))

    user('alice', 'target')
    agree(t, 'a user that was made on the target', ('bob',))
    t.passes('it gets its roles', wait_for, 'roles', lambda: {
        r for r, users in compare.Cluster('target').roles().items()
        if 'alice' in users} == {'reader', 'writer', 'public'}
        or {r for r, users in compare.Cluster('target').roles().items()
            if 'alice' in users} == {'reader', 'writer'}, 20)
    reason(t, task, ('bob',))
    user('bob', 'target')
    agree_wholly(t, 'both are there: all is equal')
    reason(t, task, ())
    return task


def live(t, c, task):
    role('later').create()
    role('later').grant('Collection', c('x'), 'Search')
    role('later').grant('Collection', c('x'), 'Delete')
    role('later').add_user('bob')
    agree_wholly(t, 'a role, its grants, a user in it')
    role('later').revoke('Collection', c('x'), 'Search')
    role('reader').remove_user('bob')
    agree_wholly(t, 'revoked, removed')
    role('later').revoke('Collection', c('x'), 'Delete')
    role('later').remove_user('bob')
    role('later').drop()
    agree_wholly(t, 'role dropped')

    # each in one breath
    for n in range(3):
        role('again').create()
        role('again').grant('Global', '*', 'DropCollection')
        role('again').add_user('alice')
        if n < 2:
            role('again').revoke('Global', '*', 'DropCollection')
            role('again').remove_user('alice')
            role('again').drop()
    agree_wholly(t, 'one role made and dropped again and again')

    user('carol')
    role('writer').add_user('carol')
    reason(t, task, ('carol',))
    agree(t, 'a new user does not stop the others', ('carol',))
    user('carol', 'target')
    agree_wholly(t, 'made on the target, it has its roles')
    reason(t, task, ())
    utility.delete_user('carol', using=S)
    agree_wholly(t, 'deleted on the source, it is gone')

    c.get('x').insert(PLAIN.rows(30, 60))
    t.equal_case(c, 'rows go on beside it')

    t.nginx.cdc('pause', {'task_id': task})
    t.wait_task('paused', task, 'Paused')
    role('paused').create()
    role('paused').grant('Collection', '*', 'Flush')
    role('paused').add_user('alice')
    role('again').remove_user('alice')
    role('again').revoke('Global', '*', 'DropCollection')
    role('again').drop()
    t.nginx.cdc('resume', {'task_id': task})
    agree_wholly(t, 'what was done while the task was paused')


def not_asked(t, c, task):
    """Without the flag nothing of it is carried."""
    t.nginx.cdc('delete', {'task_id': task})
    task = t.nginx.create(t.bed['target'])
    role('unseen').create()
    role('reader').grant('Collection', '*', 'Flush')
    c.get('x').insert(PLAIN.rows(60, 90))
    t.equal_case(c, 'without enable_user_role rows arrive')
    # both may be seen by now
    t.ok('unseen' not in compare.Cluster('target').roles(),
         'and roles do not')
    t.ok(('default', 'Collection', '*', 'Flush')
         not in compare.Cluster('target').grants('reader'),
         'nor grants')


with Cases() as t:
    t.up({'target': {'auth': True}}, {'auth': True})
    t.target = {'milvus_connect_param': {
        'uri': t.bed['target'].uri, 'token': 'root:Milvus',
        'connect_timeout': 10}, 'collection_infos': [{'name': '*'}]}
    t.start_nginx()
    c = t.case('rbac')
    task = carried(t, c)
    live(t, c, task)
    not_asked(t, c, task)
    with open(t.nginx.errors, errors='replace') as f:
        log = f.read()
    t.ok('Secret-of' not in log and '$2a$' not in log,
         'no secret in the error log')
    t.check_logs()
