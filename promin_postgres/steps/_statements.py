"""The statements of the step queue.

Those that pick rows age: see Statement. Those that a busy claimer sends are prepared at once, because planning one
takes as long as running it.
"""

from __future__ import annotations

from promin_postgres._statement import Statement

ADMIT = Statement("steps/admit", ages=True)
CLAIM = Statement("steps/claim", ages=True, prepare=True)
CLAIM_IN_TURN = Statement("steps/claim_in_turn", ages=True, prepare=True)
CLAIM_OF_ONE = Statement("steps/claim_of_one", ages=True, prepare=True)
CLAIM_WEIGHTED = Statement("steps/claim_weighted", ages=True, prepare=True)
COMPLETE = Statement("steps/complete", ages=True, prepare=True)
ENQUEUE = Statement("steps/enqueue")
ENQUEUE_MANY = Statement("steps/enqueue_many")
FIND_LEASED = Statement("steps/find_leased", idempotent=True, ages=True)
FIND_UNFINISHED = Statement("steps/find_unfinished", idempotent=True, ages=True)
GET = Statement("steps/get", idempotent=True, ages=True)
GIVE_BACK = Statement("steps/give_back", ages=True)
HEARTBEAT = Statement("steps/heartbeat", idempotent=True)
METRICS = Statement("steps/metrics", idempotent=True)
PAUSE = Statement("steps/pause", idempotent=True)
PROMOTE = Statement("steps/promote", idempotent=True, ages=True)
PRUNE = Statement("steps/prune", prepare=False)
REDRIVE = Statement("steps/redrive", prepare=False)
REGISTER = Statement("steps/register", idempotent=True)
REQUEUE_STUCK = Statement("steps/requeue_stuck", prepare=False)
RESUME = Statement("steps/resume", idempotent=True)
RETIRE = Statement("steps/retire", idempotent=True)
RING = Statement("steps/ring", idempotent=True)
SETTLE = Statement("steps/settle", ages=True, prepare=True)
SETTLE_AND_CLAIM = Statement("steps/settle_and_claim", ages=True, prepare=True)
SETTLE_AND_CLAIM_IN_TURN = Statement("steps/settle_and_claim_in_turn", ages=True, prepare=True)
SETTLE_AND_CLAIM_OF_ONE = Statement("steps/settle_and_claim_of_one", ages=True, prepare=True)
SETTLE_AND_CLAIM_WEIGHTED = Statement("steps/settle_and_claim_weighted", ages=True, prepare=True)
SETTLE_SEATED = Statement("steps/settle_seated", ages=True)
UNPARK = Statement("steps/unpark", idempotent=True, ages=True)
UNPARK_ALL = Statement("steps/unpark_all", idempotent=True, ages=True)
