-- Let the step that waits for the end of this child look for it again, in the transaction that ends the child.
WITH waiting AS (
    SELECT p.id, p.run, p.workflow_id, c.parent_step AS step_name, 'child:' || c.workflow_id AS waits_for
    FROM {prefix}workflows c
    JOIN {prefix}workflows p ON p.id = c.parent_id
    WHERE c.workflow_id = %(workflow_id)s::text
), {{workflow/parts/woken}}
SELECT {{bell/parts/rings}} AS rung
