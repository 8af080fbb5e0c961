"""U-Net: a contracting path that sees the context, an expanding path that says where, and copies between the two.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.
"""

from __future__ import annotations

from cvbench.records import Published
from reference_models.card import Card

_DEFINITION = "counted by hand from the definition in the paper"

CARD = Card(
    name="unet",
    title="U-Net",
    field="semantic",
    citation=(
        'Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015'
    ),
    published=(
        Published("params", 31_031_810, "count", conditions="channels=3;classes=2", source=_DEFINITION, verified="yes"),
        Published(
            quantity="macs",
            value=48.17158144,
            unit="GMACs",
            input="1x3x256x256",
            conditions="channels=3;classes=2;padded",
            source=_DEFINITION,
            verified="yes",
        ),
        Published(
            quantity="accuracy",
            value=0.92,
            unit="ratio",
            metric="IoU",
            dataset="PhC-U373",
            source="paper",
            verified="memory",
        ),
        Published(
            quantity="accuracy",
            value=0.000353,
            unit="ratio",
            metric="warping error",
            dataset="ISBI EM segmentation",
            source="paper",
            verified="memory",
        ),
        Published(
            quantity="latency",
            value=1,
            unit="s",
            input="512x512",
            conditions="batch=1; less than a second",
            source="paper",
            verified="memory",
        ),
    ),
    deviations=(
        "Images have three channels, and convolutions are padded, so that every pixel gets a class.",
        "The network of the paper is an option: in_channels=1, padded=False.",
        "No dropout at the end of the contracting path.",
        "The loss does not weigh pixels by their distance from borders between cells.",
        "nano: an eighth of the widths, and batch norms.",
    ),
)
