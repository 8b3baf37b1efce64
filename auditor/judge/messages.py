"""Messages: every sentence a verdict can say, chosen by key; numbers never hide which side of a bound they lie on."""

from math import isfinite

MESSAGES = {
    "pass": "{value} meets the bound {bound}, and so does its whole interval, {low} to {high}.",
    "pass_exact": "{value} meets the bound {bound}; an exact fact, without an interval.",
    "pass_flat": "{value} meets the bound {bound}; all {n} {units} gave the same.",
    "warn": "{value} meets the bound {bound}, but its interval reaches to {end}, beyond the warning at {warn}.",
    "warn_exact": "{value} meets the bound {bound}, but not the warning at {warn}.",
    "warn_flat": "{value} meets the bound {bound}, but not the warning at {warn}; all {n} {units} gave the same.",
    "fail": "{value} misses the bound {bound}, and so does its whole interval, {low} to {high}.",
    "fail_exact": "{value} misses the bound {bound}; an exact fact, without an interval.",
    "fail_flat": "{value} misses the bound {bound}; all {n} {units} gave the same.",
    "open": "{value} lies {side} the bound {bound}, but {n} {units} leave room {way} {end}; {decide}.",
    "open_enclosure": "{value} lies {side} the bound {bound}, but the computation only encloses the number between "
    "{low} and {high}.",
    "open_censored": "The number is at least {value}: the event was not reached, so the bound {bound} cannot be "
    "confirmed; a longer run would decide.",
    "dropped": "{value} misses the bound {bound} with its whole interval, but among {family} expectations such a "
    "result is expected by chance now and then, and corrected for that it is no proof; {decide}.",
    "about": "about {n} would decide",
    "none_realistic": "no realistic number of {units} would decide",
    "unmeasured": "The check did not measure {metric} here.",
    "unreplicated": "{metric} was measured once, and nothing is known of how much it varies; repeated "
    "measurements would decide.",
    "single": "A single one of the {units} says nothing of how much {metric} varies; at least {need} would decide.",
    "too_few": "{n} {units} are too few to decide {metric}; at least {need} are needed.",
    "zero_width": "Every resampling gave the same {metric}, so its bootstrap interval has no width and cannot be "
    "trusted; more or more varied {units} would decide.",
    "no_spread": "All {n} {units} gave the same {metric}, so its interval has no width and cannot be trusted; more or "
    "more varied {units} would decide.",
    "skipped": "The check does not apply here: {reason}",
    "not_run": "The check was not run: {reason}",
    "error": "The check ended in error, so nothing is known of {metric}: {reason}",
    "missing": "it was not reached before the run ended, or was deselected.",
    "after": "{reason} It counts only after {names}, which did not pass.",
    "baseline_missing": "There is no earlier measurement of {metric} to compare with.",
    "baseline_flawed": "The earlier measurement of {metric} is no evidence: {reason}",
    "paired": "Compared on the {n} examples that both audits hold.",
    "unpaired": "Compared as two independent samples, since the audits share no examples for it.",
    "waived": "{reason} Accepted until {expires} by {approved_by}: {why}",
    "waiver_expired": "{reason} The waiver of {approved_by} expired on {expires}.",
    "waiver_unreadable": "{reason} The waiver's date {expires!r} is not a date (YYYY-MM-DD), so it waives nothing.",
    "waiver_open": "{reason} The waiver names no no_worse_than, so it waives nothing.",
    "waiver_exceeded": "{reason} The waiver holds only if the whole interval is no worse than {limit}, and it is not.",
    "info": "Nothing was expected of this check; its numbers are for information.",
    "audit_fail": "Of the expectations that count ({total}), {count} failed: {names}.",
    "audit_open": "Of the expectations that count ({total}), {count} could not be decided: {names}.",
    "audit_error": "{count} of {total} checks ended in error: {names}.",
    "audit_nothing": "Nothing was judged: no expectation of severity error was put to the test.",
    "audit_pass": "Every expectation that counts holds ({total}).",
    "audit_waived": "Every expectation that counts holds or is waived ({total}, {waived} waived).",
    "partial": "{reason} Only a part of the audit was run.",
    "malformed": "{metric}: the method {method} cannot read its distribution ({found}).",
    "upside_down": "{metric}: its enclosure is upside down, from {low} to {high}.",
    "contradicted": "{metric}: {value} is not the number that its distribution is about.",
    "twice": "{metric} was measured twice; only one number can carry a name.",
    "not_finite": "{metric} holds a number that is not finite, which is no measurement.",
}

UNITS = {
    "example": "examples",
    "document": "documents",
    "group": "groups",
    "record": "records",
    "probe": "probes",
    "seed": "seeds",
    "none": "replicates",
}


def say(key: str, **words: object) -> str:
    """The sentence of that key with its words filled in; KeyError for an unknown key or a missing word."""
    return MESSAGES[key].format(**words)


def number(x: float, beside: float | None = None) -> str:
    """A number in three significant digits, or as many as tell it from `beside`.

    >>> number(0.8333333), number(0.84999, beside=0.85), number(1234567.0), number(12345.6, beside=12346)
    ('0.833', '0.84999', '1234567', '12345.6')
    """
    if not isfinite(x):
        return "minus infinity" if x < 0 else "infinity"
    digits = 3
    while digits < 17 and x != beside and float(_written(x, digits)) == beside:
        digits += 1
    return _written(x, digits)


def _written(x: float, digits: int) -> str:
    if x == round(x) and abs(x) < 1e15:
        return str(round(x))
    text = f"{x:.{digits}g}"
    return f"{x:.0f}" if "e+" in text and abs(x) < 1e15 else text


def bound_text(x: float) -> str:
    """A bound as the owner would write it.

    >>> bound_text(0.85), bound_text(250.0)
    ('0.85', '250')
    """
    return f"{x:.12g}"
