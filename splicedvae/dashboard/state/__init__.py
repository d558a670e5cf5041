"""What a visitor chose: run, file and colors, and the address that keeps them."""
