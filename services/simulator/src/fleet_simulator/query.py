"""Query words of `print`: `?name`, `?-name`, `?name=x`, `?<`, `?>` and the stack operators.

Source: MikroTik's manual, "API", section "Queries". A record matches when no `false` is left
on the stack, which is taken to hold endless `true` values below what was pushed. Regular
expressions do not exist here. `yes` equals `true` and `no` equals `false`: exporters in the
field ask `?connect=yes` of rows that read `connect=true`.
"""

from collections.abc import Callable, Sequence
from typing import Final

from fleet_simulator.tables import Row, TrapError

type Predicate = Callable[[Row], bool]
type _Operation = Callable[[Row, list[bool]], None]

_BOOLEANS: Final = {b"yes": b"true", b"no": b"false"}
_MAX_STACK: Final = 1024


def compile_query(words: Sequence[bytes]) -> Predicate | None:
    """A test of one row for query words (each with its leading `?`), None for no words.

    Raises TrapError for an operator that does not exist.
    """
    if not words:
        return None
    if len(words) == 1 and not words[0].startswith(b"?#"):
        return _condition(words[0][1:])
    operations = [_operation(word[1:]) for word in words]

    def matches(row: Row) -> bool:
        stack: list[bool] = []
        for operate in operations:
            operate(row, stack)
        return all(stack)

    return matches


def same_value(left: bytes, right: bytes) -> bool:
    """Equality as queries see it: bytes, or both the same truth value."""
    return left == right or _BOOLEANS.get(left, left) == _BOOLEANS.get(right, right)


def _operation(word: bytes) -> _Operation:
    if word.startswith(b"#"):
        return _stack_operation(word[1:])
    condition = _condition(word)

    def push(row: Row, stack: list[bool]) -> None:
        stack.append(condition(row))

    return push


def _condition(word: bytes) -> Predicate:
    kind = word[:1]
    if kind == b"-":
        name = word[1:]
        return lambda row: name not in row
    if kind in {b"<", b">"}:
        name, _, value = word[1:].partition(b"=")
        return _ordered(name, value, below=kind == b"<")
    name, separator, value = word.removeprefix(b"=").partition(b"=")
    if not separator:
        return lambda row: name in row
    return _equal(name, value)


def _equal(name: bytes, value: bytes) -> Predicate:
    accepted = {value, _BOOLEANS.get(value, value)}
    accepted.update(short for short, long in _BOOLEANS.items() if long in accepted)
    if len(accepted) == 1:
        return lambda row: row.get(name) == value
    return lambda row: row.get(name) in accepted


def _ordered(name: bytes, value: bytes, *, below: bool) -> Predicate:
    bound = _number(value)

    def compare(row: Row) -> bool:
        present = row.get(name)
        if present is None:
            return False
        number = _number(present)
        if number is not None and bound is not None:
            return number < bound if below else number > bound
        return present < value if below else present > value

    return compare


def _number(value: bytes) -> int | float | None:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return None


def _stack_operation(operators: bytes) -> _Operation:
    """One `?#…` word: digits are an index from the top; see the manual for the rest."""
    steps: list[tuple[int, int]] = []
    position = 0
    while position < len(operators):
        end = position
        while end < len(operators) and operators[end : end + 1].isdigit():
            end += 1
        if end > position:
            index = int(operators[position:end])
            if index >= _MAX_STACK:
                raise TrapError("query stack index too large", category=1)
            last = end == len(operators)
            steps.append((ord("="), index) if last else (ord("#"), index))
            # A dot right after an index only ends the index.
            position = end + 1 if operators[end : end + 1] == b"." else end
            continue
        operator = operators[position]
        if operator not in b"!&|.":
            raise TrapError(f"unknown query operator {chr(operator)}", category=1)
        steps.append((operator, 0))
        position += 1

    def operate(_row: Row, stack: list[bool]) -> None:
        for operator, index in steps:
            _apply(operator, index, stack)

    return operate


def _apply(operator: int, index: int, stack: list[bool]) -> None:
    match chr(operator):
        case "#":
            stack.append(_peek(stack, index))
        case "=":
            stack[:] = [_peek(stack, index)]
        case ".":
            stack.append(_peek(stack, 0))
        case "!":
            stack.append(not _pop(stack))
        case "&":
            right, left = _pop(stack), _pop(stack)
            stack.append(left and right)
        case _:
            right, left = _pop(stack), _pop(stack)
            stack.append(left or right)


def _peek(stack: list[bool], index: int) -> bool:
    return stack[-1 - index] if index < len(stack) else True


def _pop(stack: list[bool]) -> bool:
    return stack.pop() if stack else True
