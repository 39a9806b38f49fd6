"""The statements that only workers need."""

from __future__ import annotations

from promin_postgres._statement import Statement

FIND_UNWANTED = Statement("workflow/find_unwanted", idempotent=True, ages=True)
