"""The experiments of the articles and the paper, and a detector on a machine, each one `run`."""

DEMOS = ("sines", "ramp", "moving_ones", "next_value", "images", "moving_digits", "machine")
