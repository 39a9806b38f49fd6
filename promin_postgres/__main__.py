"""`python -m promin_postgres` is `promin-postgres`."""

import sys

from promin_postgres.cli import main

sys.exit(main())
