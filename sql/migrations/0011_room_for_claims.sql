-- Claimed tasks are longer than waiting ones, by who claimed them and when: room for all of a page on it.
ALTER TABLE {prefix}step_queue SET (fillfactor = 40);
