"""Judge: rules and evidence in, verdicts out; pure, and without a route to a silent pass.

The ten rules, and where each lives:

1, 2  an expectation beside an interval, warn bounds, n'   bounds.py, intervals.py, cases.py
3     passes uncorrected, failures by Holm                 holm.py
4     what is too little to decide                         minimum.py
5     no worse than the baseline                           baseline.py
6     chosen on one half, tested on the other              the check, with statistics.halves
7     how a check ends; `after`                            standing.py, outcome.py, after.py
8     waivers                                              waivers.py
9     how the audit ends                                   outcome.py
10    who set the bound                                    cases.py (carried into each verdict)
"""
