"""The statements of the test servers."""

from __future__ import annotations

from promin_postgres._statement import Statement

CLONE_DATABASE = Statement("testing/clone_database")
CLONE_DATABASE_FILES = Statement("testing/clone_database_files")
CREATE_DATABASE = Statement("testing/create_database")
DROP_DATABASE = Statement("testing/drop_database")
END_DECODING = Statement("testing/end_decoding")
FIND_DATABASE = Statement("testing/find_database")
LIST_DATABASES = Statement("testing/list_databases")
LOCK_TEMPLATE = Statement("testing/lock_template")
READ_SETTING = Statement("testing/read_setting")
RENAME_DATABASE = Statement("testing/rename_database")
SEAL_DATABASE = Statement("testing/seal_database")
SET_PASSWORD = Statement("testing/set_password")
UNLOCK_TEMPLATE = Statement("testing/unlock_template")
