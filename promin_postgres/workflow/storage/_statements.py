"""The statements of the workflow storage.

Idempotent are those that a lost answer allows to send again: reads, writes that find their own trace and leave it, and
writes that set what they set before.
"""

from __future__ import annotations

from promin_postgres._statement import Statement

BEGIN_ENDING = Statement("workflow/begin_ending", ages=True)
BEGIN_RUN = Statement("workflow/begin_run", idempotent=True)
CANCEL_WORKFLOW = Statement("workflow/cancel_workflow", idempotent=True)
COUNT_BY_VERSION = Statement("workflow/count_by_version", idempotent=True)
CREATE_WORKFLOW = Statement("workflow/create_workflow")
DELIVER_SIGNAL = Statement("workflow/deliver_signal")
END_RUN = Statement("workflow/end_run", idempotent=True)
EXTEND_LEASE = Statement("workflow/extend_lease", idempotent=True)
FIND_ENDED = Statement("workflow/find_ended", idempotent=True, ages=True)
LIST_WORKFLOWS = Statement("workflow/list_workflows", idempotent=True, prepare=False)
LOAD_INPUTS = Statement("workflow/load_inputs", idempotent=True, ages=True)
LOAD_RUN_HISTORY = Statement("workflow/load_run_history", idempotent=True)
LOAD_SIGNALS = Statement("workflow/load_signals", idempotent=True)
LOAD_STEP_ATTEMPTS = Statement("workflow/load_step_attempts", idempotent=True)
LOAD_STEPS = Statement("workflow/load_steps", idempotent=True)
LOAD_WORKFLOW = Statement("workflow/load_workflow", idempotent=True)
PARK_TASK = Statement("workflow/park_task", ages=True)
PURGE_COMPLETED = Statement("workflow/purge_completed", idempotent=True)
RELEASE_LEASE = Statement("workflow/release_lease", idempotent=True)
REPLACE_STEPS = Statement("workflow/replace_steps", idempotent=True)
RETRY_RUN = Statement("workflow/retry_run", ages=True)
SAVE_STEP = Statement("workflow/save_step", idempotent=True)
SAVE_STEP_ATTEMPT = Statement("workflow/save_step_attempt", idempotent=True)
SAVE_TASK = Statement("workflow/save_task", idempotent=True)
SETTLE_STEPS = Statement("workflow/settle_steps", ages=True)
STANDING = Statement("workflow/standing", idempotent=True)
START_FRESH_RUN = Statement("workflow/start_fresh_run")
START_RUN = Statement("workflow/start_run")
SUSPEND_WORKFLOW = Statement("workflow/suspend_workflow", idempotent=True)
TAKE_LEASE = Statement("workflow/take_lease", idempotent=True)
TAKE_SIGNAL = Statement("workflow/take_signal", idempotent=True)
WAKE_FOR_CHILD = Statement("workflow/wake_for_child", ages=True)
WAKE_FOR_SIGNAL = Statement("workflow/wake_for_signal", ages=True)
