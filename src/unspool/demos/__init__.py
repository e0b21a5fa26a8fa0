"""The experiments of the articles and the paper, each run whole by the `run` of its module."""

DEMOS = ("sines", "ramp", "moving_ones", "next_value", "images", "moving_digits")
