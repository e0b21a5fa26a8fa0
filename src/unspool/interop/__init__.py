"""Trained models in the formats of others, from `Contents` alone: nothing here needs torch."""
