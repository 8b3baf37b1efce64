"""The zoo: small trained models with one planted defect each, and their healthy twins.

A twin has the same recipe and the same seed. Every generator proves its defect before it hands it over: accuracy on
data without the defect falls by at least ten points, or the mechanism itself is measured (member.Unproven otherwise).
"""

from benchmarks.zoo import histories, pictures, tables, texts
from benchmarks.zoo.fits import FITS
from benchmarks.zoo.member import Generator, Member, Unproven

DEFECTS: dict[str, Generator] = {
    "shortcut_patch": pictures.shortcut_patch,
    "frame_shortcut": pictures.frame_shortcut,
    "trigger_token": texts.trigger_token,
    "leaked_column": tables.leaked_column,
    "dead_layer": pictures.dead_layer,
    "collapsed_attention": texts.collapsed_attention,
    "wrong_preprocessing": pictures.wrong_preprocessing,
    "never_predicted": pictures.never_predicted,
    "over_confidence": tables.over_confidence,
    "frozen_layer": histories.frozen_layer,
    "hasty_layer": histories.hasty_layer,
    "swapped_checkpoints": histories.swapped_checkpoints,
    "edited_weights": histories.edited_weights,
    "claimed_parent": histories.claimed_parent,
}
"""The generators, by the name of what they plant."""

__all__ = ["DEFECTS", "FITS", "Generator", "Member", "Unproven"]
