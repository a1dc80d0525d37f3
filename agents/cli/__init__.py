"""The commands that people type: ``rlsuite train``, or ``python scripts/train.py`` in a checkout."""
