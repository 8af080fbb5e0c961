"""What a model costs: parameters, multiply-accumulates, FLOPs, bytes moved, and time.

`cvbench.cost.counter` counts, one operator at a time and with no silent zeros; `cvbench.cost.formulas` says what an
operator costs, `cvbench.cost.operators` which formula is whose. Torch is needed to run a model and is imported by the
functions that do so.
"""
