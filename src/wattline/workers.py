"""Work on each unit: here, or by the Dask workers that the profile of the site names. Results are the same."""
