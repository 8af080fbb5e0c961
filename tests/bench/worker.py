"""One engine, one fresh process: ``worker.py ENGINE GT DT ROUNDS`` prints seconds per phase and the figures as JSON."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from collections.abc import Callable
from time import perf_counter

PEERS = {
    "pycocotools": ("pycocotools.coco", "pycocotools.cocoeval", "COCOeval"),
    "hotcoco": ("hotcoco", "hotcoco", "COCOeval"),
    "ultrafast-pycocotools": ("ultrafast_pycocotools", "ultrafast_pycocotools", "COCOeval"),
    "faster-coco-eval": ("faster_coco_eval", "faster_coco_eval", "COCOeval_faster"),
}

Phases = dict[str, float]


def ours() -> Callable[[str, str], tuple[Phases, list[float]]]:
    from cvbench.io import read_detections, read_ground_truth
    from cvbench.metrics.detection import DetectionParams, count, summarize

    def run(gt: str, dt: str) -> tuple[Phases, list[float]]:
        start = perf_counter()
        truth = read_ground_truth(gt, "bbox").columns
        found = read_detections(dt, truth, "bbox").columns
        loaded = perf_counter()
        values = summarize(count(truth, found, DetectionParams.of("bbox"))).values
        return {"load": loaded - start, "evaluate": perf_counter() - loaded}, list(values.values())

    return run


def peer(name: str) -> Callable[[str, str], tuple[Phases, list[float]]]:
    coco_home, eval_home, eval_name = PEERS[name]
    coco = importlib.import_module(coco_home).COCO
    evaluation_type = getattr(importlib.import_module(eval_home), eval_name)

    def run(gt: str, dt: str) -> tuple[Phases, list[float]]:
        start = perf_counter()
        truth = coco(gt)
        found = truth.loadRes(dt)
        loaded = perf_counter()
        evaluation = evaluation_type(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        phases = {"load": loaded - start, "evaluate": perf_counter() - loaded}
        return phases, [float(value) for value in evaluation.stats[:12]]

    return run


def main() -> None:
    engine, gt, dt, rounds = sys.argv[1:]
    talk = io.StringIO()
    start = perf_counter()
    with contextlib.redirect_stdout(talk):
        run = ours() if engine == "cvbench" else peer(engine)
        imported = perf_counter() - start
        results = [run(gt, dt) for _ in range(int(rounds))]
    figures = results[0][1]
    assert all(result[1] == figures for result in results)
    json.dump({"import": imported, "rounds": [phases for phases, _ in results], "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
