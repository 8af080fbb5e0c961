"""Alignment of 3-D point sets: the rotation, scale and shift that bring predicted joints nearest to annotated ones.

The best rotation is found as a unit quaternion, the eigenvector of the largest eigenvalue of a symmetric matrix of
4 x 4 (Horn, *Closed-form solution of absolute orientation using unit quaternions*, JOSA A 1987). A quaternion is always
a proper rotation, so no determinant has to be mended afterwards, and cyclic Jacobi rotations find the eigenvector of so
small a matrix in a handful of sweeps, as exactly as the singular vectors of the usual recipe.
"""

from __future__ import annotations

from math import sqrt

from cvbench.kernels import Bool, Float, kernel

SWEEPS = 24
"""More than Jacobi's method takes: convergence is quadratic, 3 to 7 sweeps on anything tried."""

NEGLIGIBLE = 2.0**-56
"""An entry beside the diagonal that is smaller than this part of the matrix turns no eigenvector by a last bit."""


@kernel
def mean_point(points: Float, used: Bool, mean: Float) -> int:
    """mean (3,): of those of the points (J, 3) that are `used` (J,); returns how many they are."""
    n = 0
    mean[:] = 0.0
    for j in range(len(points)):
        if used[j]:
            n += 1
            for axis in range(3):
                mean[axis] += points[j, axis]
    if n > 0:
        for axis in range(3):
            mean[axis] /= n
    return n


@kernel
def rotate_planes(a: Float, v: Float) -> None:
    """Turn the symmetric matrix `a` (4, 4) into its diagonal of eigenvalues, and `v` into eigenvectors, in columns.

    Cyclic Jacobi rotations: each makes one pair of entries beside the diagonal 0, in its plane.
    """
    size = 0.0
    for p in range(4):
        for q in range(4):
            size = max(size, abs(a[p, q]))
            v[p, q] = 1.0 if p == q else 0.0
    for _ in range(SWEEPS):
        turned = False
        for p in range(3):
            for q in range(p + 1, 4):
                if abs(a[p, q]) <= NEGLIGIBLE * size:
                    continue
                turned = True
                # of the smaller of the two angles that bring the pair to 0
                theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                length = sqrt(theta * theta + 1.0)
                tangent = 1.0 / (theta + length if theta >= 0.0 else theta - length)
                cosine = 1.0 / sqrt(tangent * tangent + 1.0)
                sine = tangent * cosine
                a[p, p] -= tangent * a[p, q]
                a[q, q] += tangent * a[p, q]
                a[p, q] = a[q, p] = 0.0
                for k in range(4):
                    if k not in (p, q):
                        x, y = a[k, p], a[k, q]
                        a[k, p] = a[p, k] = cosine * x - sine * y
                        a[k, q] = a[q, k] = sine * x + cosine * y
                    x, y = v[k, p], v[k, q]
                    v[k, p], v[k, q] = cosine * x - sine * y, sine * x + cosine * y
        if not turned:
            break


@kernel
def best_rotation(moments: Float, a: Float, v: Float, rotation: Float) -> float:
    """rotation (3, 3): the proper one that maximises the trace of rotation @ moments, which is returned.

    Parameters
    ----------
    moments : (3, 3)
        Sum over points of predicted times annotated coordinates, both about their means.
    a, v : (4, 4)
        Scratch.
    rotation : (3, 3)
        Out. Where several rotations are equally good, one of them.
    """
    s = moments
    a[0, 0], a[1, 1] = s[0, 0] + s[1, 1] + s[2, 2], s[0, 0] - s[1, 1] - s[2, 2]
    a[2, 2], a[3, 3] = s[1, 1] - s[0, 0] - s[2, 2], s[2, 2] - s[0, 0] - s[1, 1]
    a[0, 1], a[0, 2], a[0, 3] = s[1, 2] - s[2, 1], s[2, 0] - s[0, 2], s[0, 1] - s[1, 0]
    a[1, 2], a[1, 3], a[2, 3] = s[0, 1] + s[1, 0], s[2, 0] + s[0, 2], s[1, 2] + s[2, 1]
    for p in range(4):
        for q in range(p):
            a[p, q] = a[q, p]
    rotate_planes(a, v)
    best = 0
    for k in range(1, 4):
        if a[k, k] > a[best, best]:
            best = k
    w, x, y, z = v[0, best], v[1, best], v[2, best], v[3, best]
    ww, xx, yy, zz = w * w, x * x, y * y, z * z
    rotation[0, 0], rotation[1, 1], rotation[2, 2] = ww + xx - yy - zz, ww - xx + yy - zz, ww - xx - yy + zz
    rotation[0, 1], rotation[1, 0] = 2.0 * (x * y - w * z), 2.0 * (x * y + w * z)
    rotation[0, 2], rotation[2, 0] = 2.0 * (x * z + w * y), 2.0 * (x * z - w * y)
    rotation[1, 2], rotation[2, 1] = 2.0 * (y * z - w * x), 2.0 * (y * z + w * x)
    return float(a[best, best])


@kernel
def moments_of(pred: Float, gt: Float, used: Bool, origin: Float, target: Float, moments: Float) -> float:
    """moments (3, 3): sums of predicted times annotated coordinates, about `origin` and `target`.

    Returns the sum of squared distances of `pred` from `origin`.

    Sums stand in nine variables: in an array they would be written back for each joint, and alignment of 17 joints took
    1.7 times as long.
    """
    spread = xx = xy = xz = yx = yy = yz = zx = zy = zz = 0.0
    for j in range(len(pred)):
        if used[j]:
            x, y, z = pred[j, 0] - origin[0], pred[j, 1] - origin[1], pred[j, 2] - origin[2]
            u, v, w = gt[j, 0] - target[0], gt[j, 1] - target[1], gt[j, 2] - target[2]
            spread += x * x + y * y + z * z
            xx, xy, xz = xx + x * u, xy + x * v, xz + x * w
            yx, yy, yz = yx + y * u, yy + y * v, yz + y * w
            zx, zy, zz = zx + z * u, zy + z * v, zz + z * w
    moments[0, 0], moments[0, 1], moments[0, 2] = xx, xy, xz
    moments[1, 0], moments[1, 1], moments[1, 2] = yx, yy, yz
    moments[2, 0], moments[2, 1], moments[2, 2] = zx, zy, zz
    return spread


@kernel
def move(points: Float, origin: Float, rotation: Float, scale: float, target: Float, moved: Float) -> None:
    """moved (J, 3): the points (J, 3), rotated and scaled about `origin`, which comes to lie at `target`."""
    xx, xy, xz = scale * rotation[0, 0], scale * rotation[0, 1], scale * rotation[0, 2]
    yx, yy, yz = scale * rotation[1, 0], scale * rotation[1, 1], scale * rotation[1, 2]
    zx, zy, zz = scale * rotation[2, 0], scale * rotation[2, 1], scale * rotation[2, 2]
    for j in range(len(points)):
        x, y, z = points[j, 0] - origin[0], points[j, 1] - origin[1], points[j, 2] - origin[2]
        moved[j, 0] = xx * x + xy * y + xz * z + target[0]
        moved[j, 1] = yx * x + yy * y + yz * z + target[1]
        moved[j, 2] = zx * x + zy * y + zz * z + target[2]


@kernel
def align_rows(start: int, stop: int, pred: Float, gt: Float, used: Bool, work: Float, aligned: Float) -> None:
    """Bring each of the rows [start, stop) of `pred` as near to `gt` as rotation, scale and shift can.

    Parameters
    ----------
    pred, gt : (N, J, 3)
    used : (N, J)
        The joints whose squared distances are to become least; the others are moved along. Where none is used, joints
        stay where they are.
    work : (5, 4, 4)
        Scratch of this range.
    aligned : (N, J, 3)
        Out. Where all joints that are used are predicted at one place, or annotated at one place, no rotation or scale
        is better than another: all joints go to the mean of the ground truth.
    """
    moments, rotation, means = work[2, :3, :3], work[3, :3, :3], work[4]
    origin, target = means[0, :3], means[1, :3]
    for i in range(start, stop):
        if mean_point(pred[i], used[i], origin) == 0:
            for j in range(pred.shape[1]):
                for a in range(3):
                    aligned[i, j, a] = pred[i, j, a]
            continue
        mean_point(gt[i], used[i], target)
        spread = moments_of(pred[i], gt[i], used[i], origin, target, moments)
        trace = best_rotation(moments, work[0], work[1], rotation)
        scale = trace / spread if spread > 0.0 else 0.0
        move(pred[i], origin, rotation, scale, target, aligned[i])


@kernel
def scale_rows(start: int, stop: int, pred: Float, gt: Float, used: Bool, scaled: Float) -> None:
    """Bring each of the rows [start, stop) of `pred` as near to `gt` as a scale about the origin can.

    Parameters as in `align_rows`; scaled (N, J, 3) is what comes out. Where all joints that are used are predicted at
    the origin, no scale is better than another, and all joints go there.
    """
    for i in range(start, stop):
        both = own = 0.0
        for j in range(pred.shape[1]):
            if used[i, j]:
                for a in range(3):
                    both += pred[i, j, a] * gt[i, j, a]
                    own += pred[i, j, a] * pred[i, j, a]
        scale = both / own if own > 0.0 else 0.0
        for j in range(pred.shape[1]):
            for a in range(3):
                scaled[i, j, a] = scale * pred[i, j, a]
