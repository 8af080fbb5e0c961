"""CenterNet: objects are points, found as peaks of a heat map, with the sizes of their boxes beside them.

Zhou, Wang and Krähenbühl, "Objects as Points", 2019, with a residual network as backbone.
"""

from __future__ import annotations

from cvbench.records import Published
from reference_models.card import Card

_AUTHORS = "xingyizhou/CenterNet"
_TIMED = "hw=Titan Xp;batch=1;stage=forward+decode+NMS;no augmentation"

CARD = Card(
    name="centernet",
    title="CenterNet",
    field="detection",
    citation='Zhou, Wang and Krähenbühl, "Objects as Points", arXiv:1904.07850, 2019',
    published=(
        Published("params", 14_437_349, "count", conditions="classes=80", source=_AUTHORS, verified="yes"),
        Published(
            quantity="macs",
            value=13.309181952,
            unit="GMACs",
            input="1x3x512x512",
            conditions="classes=80; a deformable convolution as its two convolutions",
            source=_AUTHORS,
            verified="yes",
        ),
        Published(
            quantity="accuracy",
            value=28.1,
            unit="%",
            metric="box AP",
            dataset="COCO val2017",
            conditions="no augmentation",
            source=f"{_AUTHORS} readme/MODEL_ZOO.md",
            verified="source",
        ),
        Published("latency", 7, "ms", conditions=_TIMED, source=f"{_AUTHORS} readme/MODEL_ZOO.md", verified="source"),
    ),
    deviations=(
        "Sizes are learnt in cells of the heat map, as in the authors' code; the paper says pixels.",
        "Radii of peaks solve the equations of CornerNet exactly; its code, which the authors use, finds larger ones.",
        "Boxes are clipped to the image.",
        "Upsampling begins with random weights, not with bilinear ones.",
        "nano: three stages and two upsamplings in place of four and three.",
    ),
)
