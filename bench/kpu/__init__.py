"""The compiler of kmodels beside the vendor's: networks, both compilers, figures, criteria."""
