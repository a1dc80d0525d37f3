"""Board games for two players on tensors: rules (``rlsuite.board.Board``), opponents, and environments of both."""
