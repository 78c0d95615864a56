"""How weights step: SGD, and Muon for convolutions."""
