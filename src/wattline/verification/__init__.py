"""What DVC keeps, held against its records: every byte is hashed here, since DVC takes its own cache at its word."""
