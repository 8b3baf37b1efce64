"""The place of `auditor.record`, which this version does not have; it will import nothing of the product."""
