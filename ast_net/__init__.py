"""AST-Net: continuous valence and arousal from face video (Wang and Hsu, BMVC 2017)."""
