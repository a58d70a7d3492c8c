"""What a study reads from disk and leaves on it: study file, journal, HDF5 archive, csv, summary."""
