"""`rehearse recover`: something is really lost, brought back with the commands of the runbooks, and timed."""
