"""Scripts that measure speed and memory; run each with --help."""
