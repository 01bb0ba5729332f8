"""What accompanies a model out of the house: its card and its bill of materials."""
