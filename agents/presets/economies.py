"""Discounts of the economies that agents learn to save in, for the presets of several agents."""

# The discounts are those of the economies, since the optimal share depends on them.
DISCOUNTS = {
    "BrockMirman": (0.99,),
    "StochasticGrowth": (0.99,),
    "IrreversibleInvestment": (0.96,),
    "ConsumptionSaving": (0.9,),
    "KrusellSmith": (0.99,),
}
