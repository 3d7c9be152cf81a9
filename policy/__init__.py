"""Guardrails: a CrossGuard policy pack whose rules are plain functions over recorded resources."""
