"""Pages that are made, so that they cannot drift from what they tell of.

    support.py, support.txt           docs/support.md: features, and their tests or why not
    clauses.py, requirements_tcp.py   docs/clauses.md: from a clause of an RFC to its tests
    wiring.py                         the drawing of live delegates in docs/net.md

tests/docs compares them; `python3 -m tools.docs.NAME` writes them anew.
"""
