# Runs the tests of Tryton's modules (argv: config file, modules) on the database
# DB_NAME, in which they are activated already. Each test rolls back.
import os
import sys
import unittest

from trytond.config import config

config.update_etc(sys.argv[1])

import trytond.tests.test_tryton as kit  # noqa: E402, after the config
from trytond.pool import Pool  # noqa: E402

for name in ('create_db', 'drop_db', 'activate_module'):
    setattr(kit, name, lambda *a, **k: None)
Pool.start()
Pool(os.environ['DB_NAME']).init()
result = unittest.TextTestRunner().run(kit.modules_suite(sys.argv[2:], doc=False))
sys.exit(not result.wasSuccessful())
