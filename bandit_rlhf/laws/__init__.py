"""The laws that estimators obey, and the dull judge, `oracle`, that says what is right.

>>> from bandit_rlhf.laws import oracle
>>> len(oracle.strings(size=2, horizon=3, end=True))
15
"""
