"""What a preview would do, told so that a reviewer knows it in half a minute: changes, releases, costs, and what deserves fear.

Pure: it is given the steps of a preview as the engine states them, and gives a digest that holds versions, weights, counts
and sizes, and no other value of anything.
"""
