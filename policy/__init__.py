"""The guardrails: what nothing that a stack declares may break, judged by the engine before it acts."""
