"""What the peers reach: the same no-op job on the same server, each at its best documented setting.

`python -m benchmarks.peers` runs them; `harness` prepares and measures them from other benchmarks. Each peer is a
script of its own, run by the interpreter of its own virtual environment. `_common` says how each measure is timed.
"""
