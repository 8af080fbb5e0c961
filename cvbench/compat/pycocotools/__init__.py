"""pycocotools' modules, names and numbers: change the import line, keep the code.

::

    from pycocotools.coco import COCO          →  from cvbench.compat.pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval  →  from cvbench.compat.pycocotools.cocoeval import COCOeval
    from pycocotools import mask               →  from cvbench.compat.pycocotools import mask

Precision, recall, scores, statistics, IoUs and per-image records equal pycocotools 2.0.11 bit for bit, also where
another answer would be the better one: a ground truth with id 0 counts as never found (and a warning says so), and what
has no value is -1. Objects are live as the original's are: a change to ``dataset``, ``anns`` or ``params`` counts from
the next `evaluate` on, overridden methods are called, and everything can be pickled.

What is different, all of it on inputs that make the original raise, crash or read memory that is not its own:

- ``params.iouThrs`` and ``params.recThrs`` may be any sequence; the original's ``summarize`` needs an array.
- ``str(evaluator)`` prints the summary and gives an empty string; the original raises `TypeError` after printing.
- ``loadRes`` may be called again with a list whose boxes it has made into arrays before.
- ``mask.decode`` fills what a too short run-length code leaves open with background, not with whatever is in memory.
- Polygons with NaN, infinite or huge coordinates raise `ValueError`; the original crashes or takes all memory.
- A run-length string that ends in the middle of a number raises `ValueError`; the original reads on behind it.
- Files are read as UTF-8 whatever the locale.
"""
