"""pycocotools' modules, names and numbers: change the import line, keep the code.

::

    from pycocotools.coco import COCO          →  from cvbench.compat.pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval  →  from cvbench.compat.pycocotools.cocoeval import COCOeval
    from pycocotools import mask               →  from cvbench.compat.pycocotools import mask

Precision, recall, scores, statistics, IoUs and per-image records equal pycocotools 2.0.11 bit for bit, also where
another answer would be the better one: a ground truth with id 0 counts as never found (and a warning says so), and what
has no value is -1. Objects are live as the original's are: a change to ``dataset``, ``anns`` or ``params`` counts from
the next `evaluate` on, overridden methods are called, and everything can be pickled.

Plain data is matched and accumulated in compiled code. Where a subclass, an object or a patch has its own `computeIoU`,
`computeOks` or `evaluateImg`, and where the data is not plain (ids that are not numbers, NaN, masks of several sizes in
one image, numbers of other precisions, ...), cells are evaluated one by one in Python as in the original, at its speed.

What is different, all of it on inputs that make the original raise, crash, hang or read memory that is not its own:

- ``params.iouThrs``, ``recThrs`` and ``kpt_oks_sigmas`` may be any sequence; the original needs arrays to summarize.
- ``str(evaluator)`` prints the summary and gives an empty string; the original raises `TypeError` after printing.
- ``loadRes`` may be called again with a list whose boxes it has made into arrays before.
- ``mask.decode`` fills what a too short run-length code leaves open with background, not with whatever is in memory,
  and refuses an empty list with `ValueError`.
- Polygons and boxes with NaN, infinite or huge coordinates (over 2**27), and images without pixels or with 2**31 and
  more, raise `ValueError` in ``mask.frPyObjects``.
- ``mask.iou`` refuses masks of one size whose runs add to different numbers of pixels with `ValueError`, and
  ``mask.merge`` stops at the end of the shorter; the original does not return from either.
- Run-length strings with characters outside of their code, or that end in the middle of a number, raise `ValueError`.
- Files are read as UTF-8 whatever the locale.
"""
