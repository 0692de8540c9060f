"""Stress tests of whole devices: what is done to them is planned from a seed, and the receiver's database judges."""
