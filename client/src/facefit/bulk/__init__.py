"""A folder of photos measured as a whole, once, whatever is killed meanwhile: what `facefit bulk` does."""
