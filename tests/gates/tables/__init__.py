"""One table of cases for each file of wattline.gates."""
