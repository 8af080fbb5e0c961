"""What type checkers see of the public names, which `__init__.py` resolves on first use."""

from cvbench.columns import Detections as Detections, GroundTruth as GroundTruth, Masks as Masks
from cvbench.cost.operators import register_formula as register_formula
from cvbench.cost.spec import CountSpec as CountSpec
from cvbench.errors import (
    CvbenchError as CvbenchError,
    FormatError as FormatError,
    InputError as InputError,
    MismatchError as MismatchError,
    MissingDependency as MissingDependency,
)
from cvbench.intervals import Interval as Interval, bootstrap as bootstrap
from cvbench.kernels.caching import CacheWarning as CacheWarning
from cvbench.metrics.boundary import boundary_f as boundary_f, region_bands as region_bands
from cvbench.metrics.detection import COCO_SIGMAS as COCO_SIGMAS, DetectionParams as DetectionParams
from cvbench.metrics.detection_ap import DetectionAP as DetectionAP, detection_ap as detection_ap
from cvbench.metrics.endpoint_error import EPE as EPE, epe as epe
from cvbench.metrics.heatmaps import decode_heatmaps as decode_heatmaps, encode_heatmaps as encode_heatmaps
from cvbench.metrics.instances import Normalizer as Normalizer
from cvbench.metrics.keypoint_ap import CrowdPoseAP as CrowdPoseAP, WholeBodyAP as WholeBodyAP
from cvbench.metrics.keypoints import PCK as PCK, PckParams as PckParams, pck as pck
from cvbench.metrics.landmarks import NME as NME, NmeParams as NmeParams, nme as nme
from cvbench.metrics.limbs import PCP as PCP, PcpParams as PcpParams, pcp as pcp
from cvbench.metrics.masks import (
    boundary_iou as boundary_iou,
    mask_boundary as mask_boundary,
    mask_iou as mask_iou,
    masks_from_boxes as masks_from_boxes,
    masks_from_counts as masks_from_counts,
    masks_from_polygons as masks_from_polygons,
    masks_from_strings as masks_from_strings,
    rle_area as rle_area,
    rle_boxes as rle_boxes,
    rle_decode as rle_decode,
    rle_encode as rle_encode,
    rle_merge as rle_merge,
    rle_to_strings as rle_to_strings,
)
from cvbench.metrics.mean_iou import (
    CityscapesIoU as CityscapesIoU,
    ConfusionMatrix as ConfusionMatrix,
    MeanIoU as MeanIoU,
    confusion_matrix as confusion_matrix,
    mean_iou as mean_iou,
)
from cvbench.metrics.mpii import PCKh as PCKh, pckh as pckh
from cvbench.metrics.panoptic import PanopticParams as PanopticParams
from cvbench.metrics.panoptic_quality import PanopticQuality as PanopticQuality, panoptic_quality as panoptic_quality
from cvbench.metrics.pose3d import (
    MPJPE as MPJPE,
    PoseParams as PoseParams,
    mpjpe as mpjpe,
    procrustes_align as procrustes_align,
)
from cvbench.metrics.precision_recall import (
    average_precision as average_precision,
    greedy_match as greedy_match,
    precision_recall_curve as precision_recall_curve,
)
from cvbench.metrics.semantic import SemanticParams as SemanticParams
from cvbench.metrics.sigmas import SIGMAS as SIGMAS
from cvbench.metrics.similarity import box_iou as box_iou, oks as oks
from cvbench.pareto import hypervolume as hypervolume, pareto_front as pareto_front
from cvbench.profiling import profile as profile
from cvbench.records import RunRecord as RunRecord
from cvbench.result import Provenance as Provenance, Result as Result, Signature as Signature, comparable as comparable
from cvbench.scoring import check as check, score as score
from cvbench.tasks import TASKS as TASKS
from cvbench.warming import Warmup as Warmup, warmup as warmup

__version__: str
