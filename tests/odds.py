"""How far chance may carry what a test measures before it fails."""

# Keys are fixed, so a test does not flicker; a correct code base fails at
# 4.5 standard errors, or at a p-value of 1e-5, for one key in 100,000.
SIGMAS = 4.5
P_VALUE = 1e-5
