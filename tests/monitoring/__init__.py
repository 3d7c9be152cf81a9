"""The monitoring stack, judged by the real programs that run it."""
