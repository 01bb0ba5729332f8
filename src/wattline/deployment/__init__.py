"""From a registered challenger to production: its image, its container, what that must show, and the way back."""
