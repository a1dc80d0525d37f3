"""Environments; importing the package registers ``rlsuite/*`` with Gymnasium."""

from envs.registration import register

register()
