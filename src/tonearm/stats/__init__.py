"""Statistics of the studies: the unit is the prompt.

share        share of takes with its interval (Wilson)
effect       change of a mean between two conditions, paired by prompt, with its t-interval
trend        dose and response: Page's trend test, Theil-Sen slope
discoveries  which of many tests count, at a rate of false discoveries
"""
