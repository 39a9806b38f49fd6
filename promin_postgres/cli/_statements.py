"""The statements of the demo."""

from promin_postgres._statement import Statement

CREATE_SCHEMA = Statement("demo/create_schema")
DROP_SCHEMA = Statement("demo/drop_schema")
ADD_FILES = Statement("demo/add_files")
CLAIM_FILES = Statement("demo/claim_files")
RELEASE_FILES = Statement("demo/release_files", idempotent=True)
BEGIN_EXECUTION = Statement("demo/begin_execution")
RECORD_FILE = Statement("demo/record_file", idempotent=True)
COUNT_ENDED = Statement("demo/count_ended", idempotent=True)
COUNT_BUSY = Statement("demo/count_busy", idempotent=True)
FIND_UNFINISHED = Statement("demo/find_unfinished", idempotent=True)
LOAD_RECORDS = Statement("demo/load_records", idempotent=True)
LOAD_FAILURES = Statement("demo/load_failures", idempotent=True)
GATHER_EVIDENCE = Statement("demo/gather_evidence", idempotent=True)
