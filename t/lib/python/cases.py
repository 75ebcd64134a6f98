"""Cases that stand side by side in one suite: what one leaves unequal does
not spoil the next.

Each case has a prefix, and everything that it makes, collections, databases,
aliases, begins with it.
"""

from e2e import E2E                # goes on in the Python that has pymilvus

from pymilvus import Collection, connections, db, utility    # noqa: E402


def flushed(collection, using):
    """Rows in sealed and flushed segments."""
    handler = connections._fetch_handler(using)
    return sum(s.num_rows
               for s in handler.get_persistent_segment_infos(collection)
               if s.state == 4)


class Case:
    """What one case may touch."""

    def __init__(self, name, bed, source='source'):
        self.name = name
        self.bed = bed
        self.source = source
        self.connected = set()

    def __call__(self, name):
        """A name of this case."""
        return '%s_%s' % (self.name, name)

    def make_db(self, name):
        db.create_database(self(name), using=self.source)
        return self.using(name)

    def drop_db(self, name):
        db.drop_database(self(name), using=self.source)

    def using(self, name):
        """The connection into a database of this case."""
        alias = self(name)
        if alias not in self.connected:
            self.bed[self.source].connect(alias, db_name=alias)
            self.connected.add(alias)
        return alias

    def get(self, name, using=None):
        return Collection(self(name), using=using or self.source)

    def drop(self, name, using=None):
        utility.drop_collection(self(name), using=using or self.source)

    def rename(self, old, new, using=None, **more):
        utility.rename_collection(self(old), self(new),
                                  using=using or self.source, **more)

    def mine(self, database):
        return database == 'default' or database.startswith(self.name + '_')

    def not_mine(self, database, name):
        return not (database if database != 'default'
                    else name).startswith(self.name + '_')

    def clean(self):
        """Drops all that it has made."""
        for database in db.list_database(using=self.source):
            if not self.mine(database):
                continue
            using = self.source
            if database != 'default':
                using = self.using(database[len(self.name) + 1:])
            for name in utility.list_collections(using=using):
                if self.not_mine(database, name):
                    continue
                for alias in utility.list_aliases(name, using=using):
                    utility.drop_alias(alias, using=using)
                utility.drop_collection(name, using=using)
            if database != 'default':
                db.drop_database(database, using=self.source)

    def close(self):
        for alias in self.connected:
            connections.disconnect(alias)
        self.connected = set()


class Cases(E2E):
    def case(self, name):
        return Case(name, self.bed)

    def equal_case(self, case, name, timeout=25, **options):
        """equal() of what belongs to the case only."""
        self.unequal = 0
        if self.failed > 2:
            timeout = min(timeout, 8)
        seconds = self.equal(name, timeout, databases=case.mine,
                             skip=case.not_mine, **options)
        self.unequal = 0
        return seconds

    def run_case(self, name, *steps, **options):
        """Each step goes through, and then both sides are equal."""
        case = self.case(name)
        for step in steps:
            try:
                step(case)
            except Exception as e:
                self.ok(False, step.__doc__, '%s: %s' % (type(e).__name__, e))
                return case
            self.equal_case(case, step.__doc__, **options)
        return case
