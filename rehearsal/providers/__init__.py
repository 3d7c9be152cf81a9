"""Provider plugins of the rehearsal: what the engine talks to in place of an account."""
