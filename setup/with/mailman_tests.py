# Runs Mailman's tests (argv: packages) on a database that has its tables. Before
# each test the tables are emptied by their owner (OWNER, a connection string),
# past the gate: that is the house's work and not the application's.
import importlib
import os
import pkgutil
import sys
import unittest

import mailman.database.factory as factory
import psycopg2
from mailman.testing import layers

owner = psycopg2.connect(os.environ['OWNER'])
owner.autocommit = True


class Kept:
    """In the place of SQLAlchemy's MetaData, which would drop the tables."""

    def reflect(self, **_):
        pass

    def drop_all(self, **_):
        pass


def reset(self):
    self.store.expunge_all()
    self.abort()
    with owner.cursor() as c:
        c.execute("select string_agg(quote_ident(tablename), ', ') from pg_tables"
                  " where schemaname = 'public' and tablename <> 'alembic_version'")
        c.execute('truncate ' + c.fetchone()[0] + ' restart identity')


if not os.environ.get('MAKE_TABLES'):
    factory.MetaData = Kept
    factory._reset = reset
layers.MockAndMonkeyLayer.testing_mode = True
layers_up = []


def chain(layer):
    return [c for c in reversed(layer.__mro__) if c is not object]


class Layered(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        for c in chain(getattr(test, 'layer', object)):
            if c not in layers_up:
                if 'setUp' in vars(c):
                    c.setUp()
                layers_up.append(c)
        for c in chain(getattr(test, 'layer', object)):
            if 'testSetUp' in vars(c):
                c.testSetUp()

    def stopTest(self, test):
        for c in reversed(chain(getattr(test, 'layer', object))):
            if 'testTearDown' in vars(c):
                c.testTearDown()
        super().stopTest(test)


suite = unittest.TestSuite()
for name in sys.argv[1:]:
    for module in pkgutil.iter_modules(importlib.import_module(name).__path__):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromName(name + '.' + module.name))
result = unittest.TextTestRunner(resultclass=Layered).run(suite)
for c in reversed(layers_up):
    if 'tearDown' in vars(c):
        c.tearDown()
sys.exit(not result.wasSuccessful())
