"""What benchmarks/serving.py needs: a model, servers that answer it, and clients that ask them."""
