"""What hostile files cost, and how the doors take damaged ones."""
