"""Pieces of CEL, the language of rules that the API server evaluates."""


def seconds_of(field: str, *, weeks: bool = True) -> str:
    """The seconds of a duration field, which is a whole number or text such as `1d12h`.

    CEL's own durations know no days and weeks; these stand first and are added. What is no
    duration at all counts as little as can be read from it. Each unit costs: without `weeks`,
    a rule over two fields stays well within what the API server lets a rule cost.
    """
    parts = [
        f"double('0' + {field}.find('[0-9.]+d').replace('d', '')) * 86400.0",
        f"double(duration('0s' + {field}.find('[0-9.]+[hms].*')).getMilliseconds()) / 1000.0",
    ]
    if weeks:
        parts.insert(0, f"double('0' + {field}.find('[0-9.]+w').replace('w', '')) * 604800.0")
    return f"type({field}) == int ? double({field}) : {' + '.join(parts)}"
