"""Statistics of the studies, whose unit is the prompt, and of listening tests, whose unit is the person.

share          share of takes with its interval (Wilson)
effect         change of a mean between two conditions, paired by prompt, with its t-interval
trend          dose and response: Page's trend test, Theil-Sen slope
discoveries    which of many tests count, at a rate of false discoveries
area           area under a curve of effect over cost, with a bootstrap interval
holm           adjusted p of several tests
proportion     share of right or chosen answers against chance, exact or with people as clusters
bradley_terry  abilities from choices in pairs
ratings        mean ratings over people, differences from a reference, post-screening
"""
