"""Did rows drift away from the rows they are held against? One test for what is served and for whole datasets."""
