"""From a model to a record of a run: predictions, their score with intervals, what the model costs, how long it takes.

Scores are those of the public metric classes (`cvbench.benchmarks`), costs those of `cvbench.profile`, times those of
`cvbench.cost.latency` on the very images of the benchmark. Each model's record is written as soon as it is known. What
goes wrong in one model is said in its record and stops no other.
"""

from __future__ import annotations

from cvbench.running.candidates import Candidate, candidate
from cvbench.running.evaluation import Evaluation, Stages, evaluate, torch_threads
from cvbench.running.runs import run
from cvbench.running.timing import Settings

__all__ = ["Candidate", "Evaluation", "Settings", "Stages", "candidate", "evaluate", "run", "torch_threads"]
