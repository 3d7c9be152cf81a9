"""What the deployment workflow runs: a decision, then an update or a rollout, then the record of it in Git.

What is decided is decided in `operations.delivery`; this package asks the world what that needs, and carries it out.
"""
