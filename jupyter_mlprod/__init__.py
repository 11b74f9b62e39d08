"""The training notebook as the release desk."""
