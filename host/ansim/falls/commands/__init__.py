"""The members of ``ansim falls``; one thin file each. None imports NumPy before its command runs."""
