"""The MinAtar games (Young and Tian, 2019), from their published rules: small, fast cousins of five Atari games."""
