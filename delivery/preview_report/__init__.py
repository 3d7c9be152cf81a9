"""What a change would do to a stack, taken from a preview and told where a reviewer looks."""
