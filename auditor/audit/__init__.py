"""The five stages in a row: spec, plan, execute, judge, report."""
