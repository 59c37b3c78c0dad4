"""`salt.utils`: the handful of helpers that public plugins use most."""
