"""What people read that is made from the code: the environments side by side, the schema of the stack files."""
