"""The Cityscapes benchmark of pixel-level labels: IoU and instance-weighted IoU, by class and by category.

All figures come from the overlaps of the ground truth's instance ids (``*_gtFine_instanceIds.png``) with the predicted
label ids: an instance id of 1000 or more is 1000 times the label plus a running number, a smaller one is the label
itself, of stuff or of a group that nobody took apart.

Conventions
-----------
Maps hold label ids 0 to 33, not train ids. Pixels whose ground truth is not evaluated count nowhere; a prediction of a
label that is not evaluated is a miss for the class that is there. Figures are fractions.

IoU of a class is TP / (TP + FP + FN) over the pixels of the data set. iIoU weights the pixels of each instance by the
average size of its class over its own size, so that small instances count as much as large ones: iTP and iFN are
weighted, FP is not, as false pixels belong to no instance; groups give neither iTP nor iFN. A category (flat, human,
vehicle, …) is judged alike on labels joined; it has an iIoU where all of its labels have instances.

Undefined: a class or category without TP, FP and FN is NaN and left out of the means; so is the iIoU of what has no
instances.

Reference: Cordts et al., *The Cityscapes Dataset for Semantic Urban Scene Understanding*, CVPR 2016; cityscapesScripts,
``evaluation/evalPixelLevelSemanticLabeling.py``, whose own instance part no longer runs on NumPy 2.4. Weighted pixels
are summed exactly here and in file order there, which may change the last bits of an iIoU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Int, Overlaps, image_of_rows
from cvbench.errors import InputError
from cvbench.metrics.base import COUNTS, IMAGE_ROWS, ROWS, State, image_weights
from cvbench.result import Input, Result, Signature

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""


class Label(NamedTuple):
    """A label of Cityscapes: what is painted into the maps.

    Attributes
    ----------
    name, id, category
    train_id
        The number that networks are trained with; 255 for labels that are not evaluated.
    instances
        Whether its objects are told apart.
    """

    name: str
    id: int
    train_id: int
    category: str
    instances: bool = False

    @property
    def evaluated(self) -> bool:
        """Whether pixels of this ground truth count."""
        return self.train_id != 255


LABELS = (
    Label("unlabeled", 0, 255, "void"),
    Label("ego vehicle", 1, 255, "void"),
    Label("rectification border", 2, 255, "void"),
    Label("out of roi", 3, 255, "void"),
    Label("static", 4, 255, "void"),
    Label("dynamic", 5, 255, "void"),
    Label("ground", 6, 255, "void"),
    Label("road", 7, 0, "flat"),
    Label("sidewalk", 8, 1, "flat"),
    Label("parking", 9, 255, "flat"),
    Label("rail track", 10, 255, "flat"),
    Label("building", 11, 2, "construction"),
    Label("wall", 12, 3, "construction"),
    Label("fence", 13, 4, "construction"),
    Label("guard rail", 14, 255, "construction"),
    Label("bridge", 15, 255, "construction"),
    Label("tunnel", 16, 255, "construction"),
    Label("pole", 17, 5, "object"),
    Label("polegroup", 18, 255, "object"),
    Label("traffic light", 19, 6, "object"),
    Label("traffic sign", 20, 7, "object"),
    Label("vegetation", 21, 8, "nature"),
    Label("terrain", 22, 9, "nature"),
    Label("sky", 23, 10, "sky"),
    Label("person", 24, 11, "human", instances=True),
    Label("rider", 25, 12, "human", instances=True),
    Label("car", 26, 13, "vehicle", instances=True),
    Label("truck", 27, 14, "vehicle", instances=True),
    Label("bus", 28, 15, "vehicle", instances=True),
    Label("caravan", 29, 255, "vehicle", instances=True),
    Label("trailer", 30, 255, "vehicle", instances=True),
    Label("train", 31, 16, "vehicle", instances=True),
    Label("motorcycle", 32, 17, "vehicle", instances=True),
    Label("bicycle", 33, 18, "vehicle", instances=True),
)
"""All labels that occur in maps, by id. (License plates, id -1, are painted as what is around them.)"""

AVERAGE_SIZE = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
"""Pixels of an average instance of each evaluated class with instances, as the benchmark fixes them."""

INSTANCE = 1000
"""Instance ids are this times the label, plus a number."""

_EVALUATED = np.array([label.evaluated for label in LABELS])
_WITH_INSTANCES = np.array([label.instances for label in LABELS])
_CATEGORIES = tuple(dict.fromkeys(label.category for label in LABELS))
_CATEGORY = np.array([_CATEGORIES.index(label.category) for label in LABELS])
