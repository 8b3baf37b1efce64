"""Attribution: which parts of an input carry the target's logit."""
