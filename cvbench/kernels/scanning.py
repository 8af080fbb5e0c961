"""JSON to columns: a strict reading of lists of records, which gives up where it is not certain.

Texts are uint8 arrays that end in a zero, a byte that JSON does not have: every loop stops there. A position of
`REFUSED` says that what stands there is no JSON, or JSON that this scanner leaves to a more patient reader: unicode
escapes, numbers of more than 18 digits, -0, names given twice, deep nesting. What it does read, it reads as the
standard has it, numbers to the last bit.

Functions that take a position pass `REFUSED` on. That they test for it first tells the compiler that positions are not
negative, and so spares it the test of every index for one from the end: 12 % of the time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbench.kernels import Float, Int, kernel

Text = NDArray[np.uint8]

REFUSED = -1

DEEPEST = 60
"""How deep skipped values may be nested; the kinds of the open brackets are the bits of one integer."""

EXACT = 1 << 53
"""Integers up to here are float64 as they are."""

EXACT_POWERS = 22
"""Powers of ten up to here are float64 as they are."""

DIGITS = 18
"""As many digits as fit into an int64 for certain."""

FEW = 15
"""Integers of as many digits are float64 as they are."""

QUOTE, BACKSLASH, COMMA, COLON, MINUS, PLUS, POINT, ZERO, NINE = 34, 92, 44, 58, 45, 43, 46, 48, 57
OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = 91, 93, 123, 125
SPACE = 32

ENDED, STOPPED, FULL = 1, 2, 3
"""Why `records_at` came back."""

INTEGER, NUMBERS, SPAN = 0, 1, 2
"""Kinds of fields: an int64; one float64, or a list of them; anything, of which the place is kept."""


def powers_of_ten(largest: int = 64) -> Float:
    """(2, largest + 1): powers of ten, and what the nearest float64 lacks of each."""
    nearest = [float(10**n) for n in range(largest + 1)]
    return np.array([nearest, [float(10**n - int(power)) for n, power in enumerate(nearest)]])


@kernel
def after_space(text: Text, p: int) -> int:
    """The first position from `p` on that is not white space."""
    if p < 0:
        return REFUSED
    while text[p] == SPACE or text[p] == 10 or text[p] == 13 or text[p] == 9:
        p += 1
    return p


@kernel
def after_string(text: Text, p: int) -> int:
    """The position after the string that starts at `p`."""
    if p < 0 or text[p] != QUOTE:
        return REFUSED
    p += 1
    while text[p] != QUOTE:
        if text[p] < SPACE:
            return REFUSED
        if text[p] == BACKSLASH:
            p += 1
            c = text[p]
            # \" \\ \/ \b \f \n \r \t
            if not (c == 34 or c == 92 or c == 47 or c == 98 or c == 102 or c == 110 or c == 114 or c == 116):
                return REFUSED
        p += 1
    return p + 1


@kernel
def after_digits(text: Text, p: int) -> int:
    """The position after one or more digits."""
    first = p
    while ZERO <= text[p] <= NINE:
        p += 1
    return p if p > first else REFUSED


@kernel
def after_number(text: Text, p: int) -> int:
    """The position after the number that starts at `p`."""
    p += text[p] == MINUS
    if text[p] == ZERO:
        p += 1
    else:
        p = after_digits(text, p)
    if p != REFUSED and text[p] == POINT:
        p = after_digits(text, p + 1)
    if p != REFUSED and (text[p] == 69 or text[p] == 101):
        p += 1
        p = after_digits(text, p + (text[p] == MINUS or text[p] == PLUS))
    return p


@kernel
def after_word(text: Text, p: int) -> int:
    """The position after ``true``, ``false`` or ``null``."""
    if text[p] == 116 and text[p + 1] == 114 and text[p + 2] == 117 and text[p + 3] == 101:
        return p + 4
    if text[p] == 110 and text[p + 1] == 117 and text[p + 2] == 108 and text[p + 3] == 108:
        return p + 4
    if text[p] == 102 and text[p + 1] == 97 and text[p + 2] == 108 and text[p + 3] == 115 and text[p + 4] == 101:
        return p + 5
    return REFUSED


@kernel
def after_key(text: Text, p: int) -> int:
    """The position of the value whose key, with or without white space before it, is at `p`."""
    p = after_space(text, after_string(text, after_space(text, p)))
    return after_space(text, p + 1) if text[p] == COLON else REFUSED


@kernel
def after_value(text: Text, p: int) -> int:
    """The position after any value that starts at `p`."""
    if p < 0:
        return REFUSED
    objects = depth = 0
    while True:
        c = text[p]
        if c == OPEN_OBJECT or c == OPEN_LIST:
            if depth == DEEPEST:
                return REFUSED
            depth += 1
            objects = objects << 1 | (c == OPEN_OBJECT)
            p = after_space(text, p + 1)
            if text[p] != c + 2:  # the bracket that closes it
                if c == OPEN_OBJECT:
                    p = after_key(text, p)
                    if p == REFUSED:
                        return REFUSED
                continue
            objects, depth, p = objects >> 1, depth - 1, p + 1
        elif c == QUOTE:
            p = after_string(text, p)
        elif c == MINUS or ZERO <= c <= NINE:
            p = after_number(text, p)
        else:
            p = after_word(text, p)
        # a value has ended, and with it perhaps what it was in
        while True:
            if p == REFUSED or depth == 0:
                return p
            p = after_space(text, p)
            if text[p] == COMMA:
                p = after_space(text, p + 1)
                if objects & 1:
                    p = after_key(text, p)
                    if p == REFUSED:
                        return REFUSED
                break
            if text[p] != (CLOSE_OBJECT if objects & 1 else CLOSE_LIST):
                return REFUSED
            objects, depth, p = objects >> 1, depth - 1, p + 1


@kernel
def quotient(digits: int, power: int, powers: Float) -> float:
    """``digits / 10**power``, correctly rounded; NaN where that is not certain.

    The digits, up to 18, are the sum of two float64. A first quotient leaves a remainder, known exactly but for a
    relative error of some 2^-100, the remainder gives a second one, and their sum rounds like the true quotient unless
    this is all but half-way between two float64.

    powers : as from `powers_of_ten`
    """
    upper = float(digits)
    lower = float(digits - int(upper))
    divisor, rest = float(powers[0, power]), float(powers[1, power])
    first = upper / divisor
    # first * divisor as the sum of product and error, after Dekker 1971
    a, b = first * 134217729.0, divisor * 134217729.0
    a_upper, b_upper = a - (a - first), b - (b - divisor)
    a_lower, b_lower = first - a_upper, divisor - b_upper
    product = first * divisor
    error = ((a_upper * b_upper - product) + a_upper * b_lower + a_lower * b_upper) + a_lower * b_lower
    remainder = (upper - product) - error - first * rest + lower
    second = remainder / divisor
    total = first + second
    left = (first - total) + second
    # what is left lies in half the distance to the neighbours; at its very end, rounding is a matter of luck
    if abs(left) > 0 and total + left * (1 + 2.0**-30) != total:
        return math.nan
    return total


@kernel
def number_at(text: Text, p: int, powers: Float) -> tuple[float, int]:
    """The number that starts at `p` as the nearest float64, and the position after it."""
    if p < 0:
        return 0.0, REFUSED
    negative = text[p] == MINUS
    p += negative
    first = p
    digits = 0
    while ZERO <= text[p] <= NINE:
        digits = digits * 10 + (int(text[p]) - ZERO)
        p += 1
    n = p - first
    if n == 0 or n > DIGITS or (text[first] == ZERO and n > 1):
        return 0.0, REFUSED
    power = 0
    if text[p] == POINT:
        start = p + 1
        p = start
        while ZERO <= text[p] <= NINE:
            digits = digits * 10 + (int(text[p]) - ZERO)
            p += 1
        power = p - start
        n += power
        if power == 0:
            return 0.0, REFUSED
        if n > DIGITS:
            i = first
            while text[i] == ZERO or text[i] == POINT:
                n -= text[i] == ZERO
                i += 1
            if n > DIGITS:
                return 0.0, REFUSED
    elif negative and digits == 0:
        return 0.0, REFUSED
    if text[p] == 69 or text[p] == 101:
        p += 1
        falling = text[p] == MINUS
        p += falling or text[p] == PLUS
        start, exponent = p, 0
        while ZERO <= text[p] <= NINE and p < start + 5:
            exponent = exponent * 10 + (int(text[p]) - ZERO)
            p += 1
        if p == start or p == start + 5:
            return 0.0, REFUSED
        power += exponent if falling else -exponent
    if digits <= EXACT and -EXACT_POWERS <= power <= EXACT_POWERS:
        value = digits / powers[0, power] if power > 0 else digits * powers[0, -power]
    elif digits == 0:
        value = 0.0
    elif 0 <= power < powers.shape[1]:
        value = quotient(digits, power, powers)
        if value != value:
            return 0.0, REFUSED
    else:
        return 0.0, REFUSED
    return -value if negative else value, p


@kernel
def integer_at(text: Text, p: int) -> tuple[int, int]:
    """The integer that starts at `p`, and the position after it; no decimal point, no exponent, no -0."""
    if p < 0:
        return 0, REFUSED
    negative = text[p] == MINUS
    p += negative
    first, value = p, 0
    while ZERO <= text[p] <= NINE:
        value = value * 10 + (int(text[p]) - ZERO)
        p += 1
    n, c = p - first, text[p]
    if n == 0 or n > DIGITS or (text[first] == ZERO and (n > 1 or negative)) or c == POINT or c == 69 or c == 101:
        return 0, REFUSED
    return -value if negative else value, p


class Fields(NamedTuple):
    """What is read of a record; F fields."""

    names: Text
    """The names with their closing quotes, one after another."""
    offsets: Int
    """(F + 1,) where each name starts"""
    kind: Int
    """(F,) `INTEGER`, `NUMBERS` or `SPAN`"""
    slot: Int
    """(F,) the first column of the table of its kind"""
    width: Int
    """(F,) 0 for a number, else how long the list of numbers is"""


class Table(NamedTuple):
    """Where the fields of N records are written."""

    integers: Int
    """(N, ...)"""
    numbers: Float
    """(N, ...)"""
    spans: Int
    """(N, 2 * ...) positions of the start and the end of a value"""
    seen: Int
    """(N,) bit *f* is set where field *f* was there"""


@kernel
def field_at(text: Text, p: int, fields: Fields, guess: int) -> int:
    """The number of the field whose name, without the opening quote, is at `p`; F where it is none.

    guess : the field that is asked first
    """
    if p < 0:
        return -1
    n = len(fields.kind)
    for i in range(n):
        f = guess + i if guess + i < n else guess + i - n
        j, stop = fields.offsets[f], fields.offsets[f + 1]
        q = p
        while j < stop and text[q] == fields.names[j]:
            j += 1
            q += 1
        if j == stop:
            return f
    return n


@kernel
def list_at(text: Text, p: int, powers: Float, out: Float) -> int:
    """Read the list of ``len(out)`` numbers that starts at `p`; the position after it.

    Those with a decimal point and few digits are read here, as `number_at` would: a call for each takes half as long
    again.
    """
    if p < 0:
        return REFUSED
    if text[p] != OPEN_LIST:
        return REFUSED
    for i in range(len(out)):
        p = after_space(text, p + 1)
        if p < 0:
            return REFUSED
        negative = text[p] == MINUS
        first = p + negative
        q, digits, power = first, 0, 0
        while ZERO <= text[q] <= NINE:
            digits = digits * 10 + (int(text[q]) - ZERO)
            q += 1
        n = q - first
        if text[q] == POINT:
            q += 1
            while ZERO <= text[q] <= NINE:
                digits = digits * 10 + (int(text[q]) - ZERO)
                q += 1
            power = q - first - n - 1
        plain = 0 < n <= FEW - power and power > 0 and (n == 1 or text[first] != ZERO)
        if plain and text[q] != 69 and text[q] != 101:
            value = digits / powers[0, power]
            out[i], p = -value if negative else value, q
        else:
            out[i], p = number_at(text, p, powers)
            if p == REFUSED:
                return REFUSED
        p = after_space(text, p)
        if text[p] != (COMMA if i + 1 < len(out) else CLOSE_LIST):
            return REFUSED
    return p + 1


@kernel
def record_at(text: Text, p: int, fields: Fields, powers: Float, table: Table, row: int) -> int:
    """Read the object that starts at `p` into `row`; the position after it."""
    if p < 0:
        return REFUSED
    n, f, seen = len(fields.kind), -1, 0
    if text[p] != OPEN_OBJECT:
        return REFUSED
    p = after_space(text, p + 1)
    if text[p] == CLOSE_OBJECT:
        table.seen[row] = 0
        return p + 1
    while True:
        if text[p] != QUOTE:
            return REFUSED
        name = p + 1
        f = field_at(text, name, fields, f + 1 if f + 1 < n else 0)
        if f < n:
            p = name + fields.offsets[f + 1] - fields.offsets[f]
            if (seen >> f) & 1:
                return REFUSED
            seen |= 1 << f
        else:
            p = name
            while text[p] != QUOTE:
                # an escape could hide one of the names
                if text[p] < SPACE or text[p] == BACKSLASH:
                    return REFUSED
                p += 1
            p += 1
        p = after_space(text, p)
        if text[p] != COLON:
            return REFUSED
        p = after_space(text, p + 1)
        if f == n:
            p = after_value(text, p)
        elif fields.kind[f] == INTEGER:
            table.integers[row, fields.slot[f]], p = integer_at(text, p)
        elif fields.kind[f] == NUMBERS:
            slot = fields.slot[f]
            if fields.width[f] == 0:
                table.numbers[row, slot], p = number_at(text, p, powers)
            else:
                p = list_at(text, p, powers, table.numbers[row, slot : slot + fields.width[f]])
        else:
            table.spans[row, 2 * fields.slot[f]] = p
            p = after_value(text, p)
            table.spans[row, 2 * fields.slot[f] + 1] = p
        if p == REFUSED:
            return REFUSED
        p = after_space(text, p)
        if text[p] == CLOSE_OBJECT:
            table.seen[row] = seen
            return p + 1
        if text[p] != COMMA:
            return REFUSED
        p = after_space(text, p + 1)


@kernel
def records_at(text: Text, p: int, stop: int, fields: Fields, powers: Float, table: Table) -> tuple[int, int, int]:
    """Read objects of a list, the first of which starts at `p`.

    Returns
    -------
    n : int
        Records read.
    p : int
        Where the next object starts; where the list has ended, the position after it; after a refusal, where the
        record starts that was refused.
    why : int
        `ENDED`: the list did; `STOPPED`: a record ended at or after `stop`; `FULL`: the table is; `REFUSED`.
    """
    for row in range(len(table.seen)):
        q = record_at(text, p, fields, powers, table, row)
        if q == REFUSED:
            return row, p, REFUSED
        closed = q - 1
        q = after_space(text, q)
        if text[q] == CLOSE_LIST:
            return row + 1, q + 1, ENDED
        if text[q] != COMMA:
            return row, p, REFUSED
        q = after_space(text, q + 1)
        if text[q] != OPEN_OBJECT:
            return row, p, REFUSED
        p = q
        if closed >= stop:
            return row + 1, p, STOPPED
    return len(table.seen), p, FULL


POLYGONS, STRING, RUNS = 0, 1, 2
"""Kinds of masks: rings of corners; run lengths as a string; run lengths as a list."""

SIZE_NAME = np.frombuffer(b'size"', np.uint8)
COUNTS_NAME = np.frombuffer(b'counts"', np.uint8)


@kernel
def is_name(text: Text, p: int, name: Text) -> bool:
    """Whether `name`, with its closing quote, stands at `p`."""
    i = 0
    while i < len(name) and text[p + i] == name[i]:
        i += 1
    return i == len(name)


@kernel
def mask_at(text: Text, p: int, size: Int, place: Int) -> int:
    """Look at the JSON value at `p`, a mask; its kind, or `REFUSED`.

    size : (2,) written: height and width of run lengths
    place : (2,) written: where polygons or run lengths start and end, without the quotes of a string
    """
    if text[p] == OPEN_LIST:
        place[0], place[1] = p, after_value(text, p)
        return POLYGONS
    kind, sized = REFUSED, False
    if text[p] != OPEN_OBJECT:
        return REFUSED
    p = after_space(text, p + 1)
    while text[p] == QUOTE:
        value = after_key(text, p)
        if value == REFUSED:
            return REFUSED
        end = after_value(text, value)
        if end == REFUSED:
            return REFUSED
        if is_name(text, p + 1, SIZE_NAME):
            if sized or text[value] != OPEN_LIST:
                return REFUSED
            sized = True
            size[0], q = integer_at(text, after_space(text, value + 1))
            q = after_space(text, q)
            if text[q] != COMMA:
                return REFUSED
            size[1], q = integer_at(text, after_space(text, q + 1))
            if text[after_space(text, q)] != CLOSE_LIST:
                return REFUSED
        elif is_name(text, p + 1, COUNTS_NAME):
            if kind != REFUSED or (text[value] != QUOTE and text[value] != OPEN_LIST):
                return REFUSED
            kind = STRING if text[value] == QUOTE else RUNS
            place[0], place[1] = value + (kind == STRING), end - (kind == STRING)
        p = after_space(text, end)
        if text[p] == CLOSE_OBJECT:
            return kind if sized else REFUSED
        if text[p] != COMMA:
            return REFUSED
        p = after_space(text, p + 1)
    return REFUSED


@kernel
def masks_at(text: Text, starts: Int, kind: Int, sizes: Int, places: Int) -> bool:
    """Look at the masks that start at `starts` (N,); whether all could be read.

    kind : (N,) written; sizes, places : (N, 2) written, see `mask_at`
    """
    for n in range(len(starts)):
        kind[n] = mask_at(text, starts[n], sizes[n], places[n])
        if kind[n] == REFUSED:
            return False
    return True


@kernel
def copy_strings(text: Text, places: Int, out: Text, offsets: Int) -> bool:
    """Copy the strings at `places` (N, 2) without their escapes; whether these are backslashes and slashes only.

    out : written, large enough; offsets : (N + 1,) written
    """
    size = 0
    for n in range(len(places)):
        offsets[n] = size
        p = places[n, 0]
        while p < places[n, 1]:
            if text[p] == BACKSLASH:
                p += 1
                if text[p] != BACKSLASH and text[p] != 47:
                    return False
            out[size] = text[p]
            size += 1
            p += 1
    offsets[len(places)] = size
    return True


@kernel
def copy_runs(text: Text, places: Int, out: Int, offsets: Int) -> bool:
    """Read the lists of integers at `places` (N, 2); whether they are such lists.

    out : written, large enough; offsets : (N + 1,) written
    """
    size = 0
    for n in range(len(places)):
        offsets[n] = size
        p = after_space(text, places[n, 0] + 1)
        while text[p] != CLOSE_LIST:
            out[size], p = integer_at(text, p)
            size += 1
            p = after_space(text, p)
            if p == REFUSED:
                return False
            if text[p] == COMMA:
                p = after_space(text, p + 1)
            elif text[p] != CLOSE_LIST:
                return False
    offsets[len(places)] = size
    return True


@kernel
def copy_polygons(text: Text, places: Int, powers: Float, out: Float, parts: Int, offsets: Int) -> int:
    """Read the lists of lists of numbers at `places` (N, 2); how many lists there are in them, or `REFUSED`.

    out : written, the numbers; parts : written, where those of each list start, and the last one's end
    offsets : (N + 1,) written, the lists of each place
    """
    size = n_parts = 0
    parts[0] = 0
    for n in range(len(places)):
        offsets[n] = n_parts
        p = after_space(text, places[n, 0] + 1)
        while text[p] == OPEN_LIST:
            p = after_space(text, p + 1)
            while text[p] != CLOSE_LIST:
                out[size], p = number_at(text, p, powers)
                size += 1
                p = after_space(text, p)
                if p == REFUSED:
                    return REFUSED
                if text[p] == COMMA:
                    p = after_space(text, p + 1)
                elif text[p] != CLOSE_LIST:
                    return REFUSED
            n_parts += 1
            parts[n_parts] = size
            p = after_space(text, p + 1)
            if text[p] == COMMA:
                p = after_space(text, p + 1)
            elif text[p] != CLOSE_LIST:
                return REFUSED
        if text[p] != CLOSE_LIST:
            return REFUSED
    offsets[len(places)] = n_parts
    return n_parts
