#!/usr/bin/env python3
"""The comparison that the other suites rely on sees every difference."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from pymilvus import Collection, Role, db, utility           # noqa: E402

import compare                                               # noqa: E402
from fixtures import EVERY, PLAIN, TEXT_KEY, Shape           # noqa: E402

KEYED = Shape(partition_key=4)

# an ordinary instance, filled by hand in the place of a target
ORDINARY = {'target': {'auth': True, 'config': {
    'common': {'ttMsgEnabled': True}}}}

# of one row, what to put in the place of each kind of field
OTHER = {'vec': [0.5] * 8, 'f_bool': None, 'f_i8': 77, 'f_i16': 7777,
         'f_i32': 77777, 'f_i64': 777777, 'f_float': 0.25, 'f_double': 0.75,
         'f_text': 'other', 'f_json': {'n': 'other'}, 'a_bool': [True] * 7,
         'a_i8': [7] * 7, 'a_i16': [7] * 7, 'a_i32': [7] * 7,
         'a_i64': [7] * 7, 'a_float': [7.5] * 7, 'a_double': [7.5] * 7,
         'a_text': ['other'] * 7, 'dyn_version': 99}


def sees(t, name, *texts):
    found = compare.differences('source', 'target', ordinary=True)
    return t.ok(len(found) == len(texts) and all(
        any(text in line for line in found) for text in texts),
        'seen: ' + name, 'wanted %s, found %s' % (texts, found))


def fields(t):
    target = Collection('every', using='target')
    for field, value in OTHER.items():
        row = EVERY.row(10)
        row[field] = not row[field] if value is None else value
        target.upsert([row])
        sees(t, 'another %s' % field, '1 rows differ, such as [10]')
    row = EVERY.row(10)
    row['dyn_more'] = 1
    target.upsert([row])
    sees(t, 'one more dynamic field', '1 rows differ, such as [10]')
    target.upsert([EVERY.row(10)])
    sees(t, 'nothing, once it is equal again')


def rows(t):
    target = Collection('every', using='target')
    target.insert([EVERY.row(11)])
    sees(t, 'a row that is there twice', 'count(*): source 200, target 201')
    target.delete('id in [11]')
    sees(t, 'a row that is missing', 'count(*): source 200, target 199',
         '1 rows missing on the target, such as [11]')
    target.insert([EVERY.row(11), EVERY.row(9999)])
    sees(t, 'a row too many', 'count(*): source 200, target 201',
         '1 rows only on the target, such as [9999]')
    target.delete('id in [9999]')
    sees(t, 'nothing, once it is equal again')

    target = Collection('text_key', using='target')
    target.delete(TEXT_KEY.expression([7]))
    target.insert([TEXT_KEY.row(7)], partition_name='first')
    sees(t, 'a row in another partition',
         'text_key/_default: count(*): source 100, target 99',
         'text_key/_default: 1 rows missing',
         'text_key/first: count(*): source 10, target 11',
         'text_key/first: 1 rows only on the target')
    target.delete(TEXT_KEY.expression([7]))
    target.insert([TEXT_KEY.row(7)])
    sees(t, 'nothing, once it is equal again')


def metadata(t):
    db.create_database('more', using='source')
    sees(t, 'a database', 'database "more" is missing on the target')
    db.drop_database('more', using='source')

    other = PLAIN.create('other', 'target')
    sees(t, 'a collection', '"default.other" is only on the target')
    EVERY.create('other', 'source')
    sees(t, 'another schema', 'description: source every',
         'dynamic fields', *(
             'field "%s" is missing on the target' % f.name
             for f in EVERY.schema().fields[2:]))
    other.drop()
    Collection('other', using='source').drop()

    keyed = Collection('keyed', using='target')
    keyed.upsert([KEYED.row(5, version=1)])
    keyed.delete('id in [6]')
    sees(t, 'rows under a partition key',
         'keyed: count(*): source 100, target 99',
         'keyed: 1 rows missing', 'keyed: 1 rows differ')
    keyed.upsert([KEYED.row(5), KEYED.row(6)])

    text = Collection('text_key', using='source')
    text.create_partition('more')
    sees(t, 'a partition',
         'text_key: number of partitions: source 3, target 2',
         'partition "more" is missing on the target')
    text.partition('more').release()
    text.drop_partition('more')

    target = Collection('every', using='target')
    target.release()
    sees(t, 'a load state', 'every: load state: source Loaded, target NotL',
         'every/_default: load state')
    target.drop_index()
    found = compare.differences('source', 'target', ordinary=True)
    t.ok(any('index' in line for line in found), 'seen: an index', found)


def names(t):
    """Aliases, properties, who may do what."""
    for name in ('one', 'two'):
        utility.create_alias('text_key', name, using='source')
    utility.create_alias('text_key', 'one', using='target')
    sees(t, 'an alias', "aliases: source ['one', 'two'], target ['one']")
    utility.create_alias('keyed', 'two', using='target')
    sees(t, 'an alias of another collection',
         "default.text_key: aliases: source ['one', 'two'], target ['one']",
         "default.keyed: aliases: source [], target ['two']")
    for side, name in (('source', 'one'), ('source', 'two'),
                       ('target', 'one'), ('target', 'two')):
        utility.drop_alias(name, using=side)

    Collection('keyed', using='source').set_properties(
        {'collection.ttl.seconds': 7200})
    sees(t, 'a property', "properties: source [('collection.ttl.seconds', "
         "'7200')], target []")
    Collection('keyed', using='target').set_properties(
        {'collection.ttl.seconds': 7200})
    sees(t, 'nothing, once it is equal again')


def mapping(t):
    """One collection under another name."""
    utility.rename_collection('keyed', 'keyed2', using='target')
    sees(t, 'a renamed collection', '"default.keyed" is missing',
         '"default.keyed2" is only on')
    found = compare.differences('source', 'target', ordinary=True, mapping={
        ('default', 'keyed'): ('default', 'keyed2')})
    t.same(found, [], 'seen: nothing, when it is mapped')
    Collection('keyed2', using='target').delete('id in [5]')
    found = compare.differences('source', 'target', ordinary=True, mapping={
        ('default', 'keyed'): ('default', 'keyed2')})
    t.ok(len(found) == 2 and '1 rows missing' in found[1],
         'seen: a row, where it is mapped', found)
    Collection('keyed2', using='target').insert([KEYED.row(5)])
    utility.rename_collection('keyed2', 'keyed', using='target')


def rights(t):
    def differ(name, *texts):
        found = compare.differences('source', 'target', ordinary=True,
                                    rbac=True, databases=())
        t.ok(len(found) == len(texts) and all(
            any(text in line for line in found) for text in texts),
            'seen: ' + name, 'wanted %s, found %s' % (texts, found))

    def both(function):
        for side in ('source', 'target'):
            function(side)

    differ('the same users and roles')
    utility.create_user('ann', 'Pass-word1', using='source')
    differ('a user', 'user "ann" is missing on the target')
    utility.create_user('ann', 'Pass-word1', using='target')
    Role('r', using='target').create()
    differ('a role', 'users of role r: source None, target []')
    Role('r', using='source').create()
    Role('r', using='source').add_user('ann')
    differ('who has a role', "users of role r: source ['ann'], target []")
    Role('r', using='target').add_user('ann')
    both(lambda side: Role('r', using=side).grant('Global', '*', '*'))
    Role('r', using='source').grant('Collection', 'x', 'Search')
    differ('a grant', 'role r: grant "default.Collection.x.Search" is '
           'missing on the target')
    Role('r', using='source').revoke('Collection', 'x', 'Search')
    both(lambda side: db.create_database('more', using=side))
    Role('r', using='source').grant('Collection', 'x', 'Search',
                                    db_name='more')
    differ('a grant in another database', 'grant "more.Collection.x.Search"')


with E2E() as t:
    t.up(ORDINARY, {'auth': True})
    for side in ('source', 'target'):
        EVERY.ready('every', side, 200)
        text = TEXT_KEY.ready('text_key', side, 100)
        text.create_partition('first')
        text.insert(TEXT_KEY.rows(100, 110), partition_name='first')
        KEYED.ready('keyed', side, 100)
    t.equal('two clusters filled alike are equal', ordinary=True)
    fields(t)
    rows(t)
    names(t)
    mapping(t)
    metadata(t)
    rights(t)
