"""What the pipelines run. It knows the program only as something to run, and of its facts those in `operations/`."""
