"""One process of a test of `Metric.sync`: it syncs every metric with the other processes.

Run as ``python tests/sync_worker.py RANK SIZE FILE``; FILE, which must not exist, is where the processes meet.
"""

from __future__ import annotations

import sys

import pytest
import torch.distributed as dist
from torch.utils.data import DistributedSampler

from cvbench import DetectionAP, MismatchError
from generated import Knobs
from test_laws import CASES, fed, scores

IMAGES = Knobs(4, 5, 3, 4, 6, 5, False, True, 1, False)
"""An odd number of images, so that the sampler of two processes repeats one."""


def check_every_metric(rank: int, size: int) -> None:
    for name, case in CASES.items():
        images = case.images(IMAGES)
        own = [images[i] for i in DistributedSampler(range(len(images)), size, rank, shuffle=False)]
        assert len(own) * size > len(images), "an image is repeated"
        synced = fed(case, own).sync()
        assert synced.compute().same_scores(scores(case, images)), name
        assert synced.sync().state is synced.state, "a second call does nothing"


def check_copies_that_differ(rank: int) -> None:
    boxes = {"boxes": [[10, 10, 50, 50]], "labels": [1]}
    metric = DetectionAP().update(boxes | {"image_id": 7}, boxes | {"scores": [0.9]})
    metric.update(boxes | {"image_id": 8}, boxes | {"scores": [0.5 + rank / 4]})
    with pytest.raises(MismatchError, match="image 8 was counted by two processes with different outcomes"):
        metric.sync()
    assert metric.sync(differing="first").state.score.tolist() == [0.9, 0.5]


def check_images_without_ids(rank: int) -> None:
    boxes = {"boxes": [[10, 10, 50, 50 + rank]], "labels": [1]}
    metric = DetectionAP().update(boxes, boxes | {"scores": [0.9]}).sync()
    assert metric.compute().counts["images"] == 2
    assert metric.compute().values["AP"] == 1


def check_rules_that_differ(rank: int) -> None:
    with pytest.raises(MismatchError, match="figures under different rules do not add"):
        DetectionAP(max_dets=(1 + rank,)).sync()


def check_groups(rank: int) -> None:
    alone = [dist.new_group([number]) for number in range(dist.get_world_size())][rank]
    boxes = {"boxes": [[10, 10, 50, 50]], "labels": [1], "image_id": rank}
    assert DetectionAP().update(boxes, boxes | {"scores": [0.9]}).sync(alone).state.image_ids.tolist() == [rank]


def main() -> None:
    rank, size, meeting = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    check_every_metric(rank, size)
    check_copies_that_differ(rank)
    check_images_without_ids(rank)
    check_rules_that_differ(rank)
    check_groups(rank)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
