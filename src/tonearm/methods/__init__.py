"""Methods that fit a direction to activations, one file each."""
