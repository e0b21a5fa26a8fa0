"""What every model eats, and the ways to come by it: arrays, frames, windows, files, generators."""
