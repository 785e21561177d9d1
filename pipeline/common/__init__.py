"""What the Beam jobs share: flags, work units, the journal, progress."""
