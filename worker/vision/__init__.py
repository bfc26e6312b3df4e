"""From bytes to pixels to landmarks."""
